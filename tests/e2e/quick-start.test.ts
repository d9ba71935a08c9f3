import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Job, jobClient } from "./job-client.ts";
import { missingPrograms, runProgram } from "./program.ts";
import { environmentFor, openStackFixture, root, type StackFixture } from "./stack-fixture.ts";

const script = readFileSync(join(import.meta.dirname, "quick-start.sh"), "utf8");
const documentPath = join(root, "../shared/seeds/004-gpu-dev-api.md");
const missing = missingPrograms("bash", "curl", "jq");
let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-quick-start-");
});

afterEach(() => fixture.close());

describe("the document's quick start", () => {
  it("prints a key, a job and the state of the job", async ({ skip }) => {
    skip(missing.length > 0, `not on this machine: ${missing.join(", ")}`);
    const stack = await fixture.start();
    const env = await stack.env();

    const { code, stdout, stderr } = await runProgram("bash", [await prepared(stack.url, env)], {
      env: { ...environmentFor(fixture.home), PATH: `${join(fixture.home, "bin")}${delimiter}${process.env.PATH}` },
    });

    const [, prefix, jobId = "", state = ""] = /^API Key: (\S{8})\.\.\.\nJob ID: (\S+)\n([\s\S]*)$/.exec(stdout) ?? [];
    expect({ code, stderr, prefix, state: JSON.parse(state) }).toEqual({
      code: 0,
      stderr: "",
      prefix: expect.stringMatching(/^[\w-]{8}$/),
      state: expect.objectContaining({ ...input, job_id: jobId, reservation_id: jobId, user_id: "developer" }),
    });
    expect(["queued", "preparing", "active"]).toContain((JSON.parse(state) as Job).status);
    const job = await jobClient(stack.url, env.API_KEY ?? "").until(jobId, ({ status }) => status === "active");
    expect(job).toMatchObject({ node_ip: "127.0.0.1", status_reason: null });
  });

  // The document is not in the repository. It is compared if it lies beside the checkout.
  if (existsSync(documentPath)) {
    it("equals the printed one", () => {
      const document = readFileSync(documentPath, "utf8");

      const [, printed] = /^## Quick Start Script\n+```bash\n([\s\S]*?)^```$/m.exec(document) ?? [];

      expect(script).toBe(printed);
    });
  }
});

const input = { gpu_type: "h100", gpu_count: 8, instance_type: "p5.48xlarge", duration_hours: 4 };

/** Writes the script with another address, and a `cloud_corp` that gives the local identity. Returns its path. */
async function prepared(url: string, env: Readonly<Record<string, string>>): Promise<string> {
  const bin = join(fixture.home, "bin");
  const names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
  const lines = names.map((name) => `export ${name}=${env[name]}`);
  mkdirSync(bin);
  writeFileSync(join(bin, "cloud_corp"), `#!/bin/sh\ncat <<'END'\n${lines.join("\n")}\nEND\n`);
  chmodSync(join(bin, "cloud_corp"), 0o755);
  const path = join(fixture.home, "quick-start.sh");
  writeFileSync(path, script.replace(/^API_URL=.*$/m, `API_URL="${url}"`));
  return path;
}
