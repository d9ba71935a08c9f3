import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { keyFile } from "#gateway/ssh/ssh-fixture.ts";
import { hasJupyter, typeInTerminal } from "#process/pages/jupyter-session-fixture.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { isOver, type Job, type JobClient, jobClient } from "./job-client.ts";
import { runProgram } from "./program.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "./stack-fixture.ts";
import { withoutProgram } from "./without-program.ts";

const shows = '[ -z "$BASH_VERSION" ] && echo no-bash; echo "<$LOGNAME $USER $SHELL $HOME>"';
/** The home of a job without a disk is its run's directory. In a terminal, the prompt may follow the typed line. */
const shown = /(^|\n|\$ )no-bash\r?\n<berth berth \/bin\/sh \S+\/runs\/[0-9a-f]{32}-r1\/0\/work>\r?\n/;

describe("a machine without bash", () => {
  if (!canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has no bubblewrap that works"));
    return;
  }

  let fixture: StackFixture;
  let keys: string;
  let stack: StackProcess;
  let key: string;
  let jobs: JobClient;
  beforeEach(async () => {
    fixture = openStackFixture("berth-login-shell-");
    keys = mkdtempSync(join(tmpdir(), "berth-login-shell-keys-"));
    stack = await fixture.start({}, { under: withoutProgram("bash") });
    key = (await stack.env()).API_KEY ?? "";
    jobs = jobClient(stack.url, key);
  });
  afterEach(async () => {
    await fixture.close();
    rmSync(keys, { recursive: true });
  });

  it("runs a job's command by sh, with the login variables", async () => {
    const id = await jobs.submit({ instance_type: "c7i.8xlarge", command: `${shows}; exit 43` });

    const { status, status_reason } = await jobs.until(id, isOver);

    expect([status, status_reason]).toEqual(["failed", "command exited with code 43"]);
    const headers = { authorization: `Bearer ${key}`, accept: "text/plain" };
    const log = await (await fetch(`${stack.url}/v1/jobs/${id}/logs`, { headers })).text();
    expect(log).toMatch(shown);
  });

  it("serves SSH and Jupyter's terminals by sh, with the login variables", async ({ skip }) => {
    if (!hasJupyter) skip("this machine has no jupyter on its system path that this user may run");
    const pair = newSshKey();
    const request = { instance_type: "c7i.8xlarge", ssh_public_keys: [pair.public], jupyter_enabled: true };
    const id = await jobs.submit(request);
    const job = (await jobs.until(id, ({ status }) => status === "active")) as Job & { readonly ssh_command: string };
    const [, ...words] = job.ssh_command.split(" ");
    const unknownHost = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
    const options = ["-F", "/dev/null", "-i", keyFile(keys, pair), ...unknownHost, ...words];
    const ssh = (script: string, ...more: string[]) => runProgram("/bin/sh", ["-c", script, ...more, ...options], {});

    const command = await ssh('ssh "$@" "$0"', `${shows}; exit 3`);
    const terminal = await ssh('ssh -tt "$@" "$0"', `${shows}; exit 3`);
    const login = await ssh('printf "%s\\n" "$0" | ssh -T "$@"', shows);
    const jupyter = { origin: new URL(job.jupyter_url ?? "").origin, token: job.jupyter_token ?? "" };
    const typed = await typeInTerminal(jupyter, shows, /<[^$>]*>\s/);

    expect([command.code, terminal.code, login.code]).toEqual([3, 3, 0]);
    for (const text of [command.stdout, terminal.stdout, login.stdout, typed]) expect(text).toMatch(shown);
  });
});
