import { copyFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../fixtures/free-port.ts";
import { readBlocks, readSection } from "./doc-blocks.ts";
import { missingPrograms, runProgram } from "./program.ts";
import { openSecondMachine, type SecondMachine, secondMachineLacks } from "./second-machine.ts";
import { openStackFixture } from "./stack-fixture.ts";

const lack = (await secondMachineLacks()) ?? missingPrograms("curl", "jq", "ssh", "ssh-keygen")[0];

describe("a user on another machine, by the guide for teams", () => {
  if (lack !== undefined) {
    it("needs what is missing", ({ skip }) => skip(`not on this machine: ${lack}`));
    return;
  }

  const guide = "docs/guide/team.md";
  const [, throughSsh = ""] = readBlocks(guide, "## Share a machine", "sh");
  const [exchange = ""] = readBlocks("docs/log-in.md", "## With your credentials", "sh");
  const logIn = `. ./ada.env\nAPI_KEY=$(${exchange})`;
  const fixture = openStackFixture("berth-shared-");
  const ports = { api: 0, ssh: 0 };
  let laptop: SecondMachine;

  beforeAll(async () => {
    ports.api = await freePort();
    ports.ssh = await freePort();
    const shared = { LOCAL_USERS: "ada,grace", SHARE_WITHOUT_MEMORY_LIMIT: "1" };
    await fixture.start({ ...shared, PORT: String(ports.api), SSH_PORT: String(ports.ssh) });
    laptop = await openSecondMachine();
    copyFileSync(join(fixture.home, "users/ada.env"), join(laptop.home, "ada.env"));
  });
  afterAll(async () => {
    await laptop?.close();
    await fixture.close();
  });

  /** Logs in, pastes the functions of the first session, and runs the script. */
  async function asAda(script: string): Promise<string> {
    const [session = ""] = readBlocks("docs/embedded-stack.md", "## A first session", "sh");
    const defined = session.slice(session.indexOf("\n"), session.indexOf("\necho"));
    const { code, stdout, stderr } = await laptop.run(`${logIn}\n${defined}\n${script}`);
    expect([code, stderr]).toEqual([0, ""]);
    return stdout;
  }

  /** Returns the guide's line for a tunnel, with the ports of this test. */
  const tunnel = (line: string) => line.split("#")[0]?.replaceAll("<machine>", "machine").trim() ?? "";

  it("reaches the stack only through a tunnel", async () => {
    const { code } = await laptop.run(`curl -sS http://127.0.0.1:${ports.api}/live`);

    expect(code).toBe(7);
  });

  describe("through the tunnel", () => {
    let id: string;

    beforeAll(async () => {
      await laptop.stay(tunnel(throughSsh.replaceAll("8080", String(ports.api)).replaceAll("2222", String(ports.ssh))));
      id = await asAda(`JOB=$(submit); shows "$JOB" '"active"' >/dev/null; printf %s "$JOB"`);
    });

    /** Sends the request, waits until the job's field shows the result, and returns the job. */
    const opened = async (request: string, field: string) =>
      JSON.parse(
        await asAda(`
          JOB=${id}
          ${request} >/dev/null
          until call "$API_URL/v1/jobs/$JOB" | jq -e .${field} >/dev/null; do sleep 0.5; done
          call "$API_URL/v1/jobs/$JOB"`),
      );

    it("logs in, submits, and opens SSH", async () => {
      const request = `jq -R '{public_key: .}' own.pub | call "$API_URL/v1/jobs/$JOB/users" -d @-`;
      const job = await opened(request, "ssh_command");
      const shell = await laptop.run(`${job.ssh_command} 'cat "$WORKSPACE/runs" | wc -l'`);

      expect(job).toMatchObject({ user_id: "ada", node_port: ports.ssh });
      expect(shell).toEqual({ code: 0, stdout: "1\n", stderr: "" });
    });

    it("opens Jupyter", async ({ skip }) => {
      // Runs it: the PATH may name a Jupyter that only root can run, because its Python lies below root's home.
      const version = await runProgram("jupyter", ["--version"], {}).catch(() => undefined);
      skip(version?.code !== 0, `${userInfo().username} cannot run jupyter on this machine`);
      const job = await opened('call -X POST "$API_URL/v1/jobs/$JOB/jupyter/enable"', "jupyter_url");
      const [, alsoJupyter = ""] = /`(ssh -N [^`]*<port>[^`]*)`/.exec(readSection(guide, "## Share a machine")) ?? [];
      await laptop.stay(tunnel(alsoJupyter.replaceAll("<port>", String(job.jupyter_port))));
      const page = await laptop.run(`curl -sSL '${job.jupyter_url}'`);

      expect(page).toMatchObject({ code: 0, stdout: expect.stringContaining("JupyterLab") });
    });
  });
});
