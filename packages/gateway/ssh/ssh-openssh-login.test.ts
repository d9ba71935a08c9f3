import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "#process/fixture.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("the login shell of a run, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  beforeEach(async () => {
    fixture = await openOpenSshFixture(isolation);
  });
  afterEach(() => fixture.close());

  it("activates a virtual environment in one command line", async () => {
    const made = "mkdir -p venv/bin && echo 'LIST=(a b); export NAMED=$LIST' > venv/bin/activate";

    const answer = await fixture.ssh([], `${made} && source venv/bin/activate && echo $NAMED`);

    expect(answer).toEqual({ code: 0, out: "a\n", err: "" });
  });

  it.each([
    ["a here-string", "cat <<< text", "text\n"],
    ["an array", "a=(1 2 3); echo $a", "1\n"],
    ["a pipe's status", "set -o pipefail; false | true; echo $?", "1\n"],
    ["a process substitution", "cat <(echo text)", "text\n"],
  ])("supports %s", async (_, command, out) => {
    expect((await fixture.ssh([], command)).out).toBe(out);
  });

  it("is the same shell for a command, a terminal, standard input and the command of the run", async () => {
    const shows = "readlink /proc/$$/exe";
    await fixture.compute.apply(fixture.runOf({ run: 2, command: `${shows}; exit` }));
    await eventually(
      () => fixture.compute.observe(fixture.uid, 2),
      (seen) => seen?.state === "ended",
    );

    const command = (await fixture.ssh([], `${shows}; exit`)).out;
    const terminal = await typed(["-tt"], `${shows}; exit\n`);
    const input = await typed(["-T"], `${shows}\n`);

    expect(command).toMatch(/\/bash\n$/);
    expect(terminal).toContain(`${command.trim()}\r\n`);
    expect(input).toBe(command);
    expect(await logText(fixture.compute.readLog(fixture.uid, 2))).toBe(command);
  });

  it("is a login shell if the client names no command", async () => {
    const input = "shopt -q login_shell && echo login || echo other";

    expect(await typed(["-T"], `${input}\n`)).toBe("login\n");
    expect((await fixture.ssh([], input)).out).toBe("other\n");
  });

  /** Types into a session without a command, and returns what it shows until it ends. */
  async function typed(options: readonly string[], text: string): Promise<string> {
    const [, ...words] = fixture.sshLine.split(" ");
    const child = spawn("ssh", [...words, ...options, fixture.address], { stdio: ["pipe", "pipe", "ignore"] });
    const shown = child.stdout.setEncoding("utf8").toArray();
    child.stdin.end(text);
    await once(child, "close");
    return (await shown).join("");
  }
});
