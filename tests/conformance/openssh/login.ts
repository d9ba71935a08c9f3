import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, expect } from "vitest";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for the shell that an OpenSSH client gets. The run needs bash. */
export function loginConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  beforeEach(async () => {
    guest = await open();
  });
  afterEach(() => guest.close());

  test("activates a virtual environment in one command line", async () => {
    const made = "mkdir -p venv/bin && echo 'LIST=(a b); export NAMED=$LIST' > venv/bin/activate";

    const answer = await guest.ssh([], `${made} && source venv/bin/activate && echo $NAMED`);

    expect(answer).toEqual({ code: 0, out: "a\n", err: "" });
  });

  for (const [name, command, expected] of [
    ["a here-string", "cat <<< text", "text\n"],
    ["an array", "a=(1 2 3); echo $a", "1\n"],
    ["a pipe's status", "set -o pipefail; false | true; echo $?", "1\n"],
    ["a process substitution", "cat <(echo text)", "text\n"],
  ] as const) {
    test(`supports ${name}`, async () => {
      expect((await guest.ssh([], command)).out).toBe(expected);
    });
  }

  test("is the same shell for a command, a terminal and standard input", async () => {
    const shows = "readlink /proc/$$/exe";

    const command = (await guest.ssh([], `${shows}; exit`)).out;
    const terminal = await typed(["-tt"], `${shows}; exit\n`);
    const input = await typed(["-T"], `${shows}\n`);

    expect(command).toMatch(/\/bash\n$/);
    expect(terminal).toContain(`${command.trim()}\r\n`);
    expect(input).toBe(command);
  });

  test("is a login shell if the client names no command", async () => {
    const input = "shopt -q login_shell && echo login || echo other";

    expect(await typed(["-T"], `${input}\n`)).toBe("login\n");
    expect((await guest.ssh([], input)).out).toBe("other\n");
  });

  /** Types into a session without a command, and returns what it shows until it ends. */
  async function typed(options: readonly string[], text: string): Promise<string> {
    const [, ...words] = guest.sshLine.split(" ");
    const child = spawn("ssh", [...words, ...options, guest.address], { stdio: ["pipe", "pipe", "ignore"] });
    const shown = child.stdout.setEncoding("utf8").toArray();
    child.stdin.end(text);
    await once(child, "close");
    return (await shown).join("");
  }
}
