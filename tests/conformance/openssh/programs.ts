import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { freePort } from "../../fixtures/free-port.ts";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for programs that use an OpenSSH client. The run needs rsync, git and screen. */
export function programsConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  beforeEach(async () => {
    guest = await open();
  });
  afterEach(() => guest.close());

  test("rsync copies a tree in both directions, and nothing the second time", async () => {
    const [up, down] = [join(guest.root, "up"), join(guest.root, "down")];
    mkdirSync(join(up, "d"), { recursive: true });
    const bytes = randomBytes(1_000_000);
    writeFileSync(join(up, "d/big"), bytes);
    const rsync = (from: string, to: string) => guest.run("rsync", ["-a", "--stats", "-e", guest.sshLine, from, to]);

    const first = await rsync(`${up}/`, `${guest.address}:tree/`);
    const second = await rsync(`${up}/`, `${guest.address}:tree/`);
    const back = await rsync(`${guest.address}:tree/`, down);

    expect([first, second, back].map(({ code, err }) => [code, err])).toEqual(Array(3).fill([0, ""]));
    expect(first.out).toContain("regular files transferred: 1");
    expect(second.out).toContain("regular files transferred: 0");
    expect(readFileSync(join(down, "d/big")).equals(bytes)).toBe(true);
  });

  test("git clones from a run and pushes back", async () => {
    const clone = join(guest.root, "clone");
    const git = (...words: string[]) => guest.run("git", words, "", { ...ours, GIT_SSH_COMMAND: guest.sshLine });
    await guest.ssh([], "git init -q --bare work.git");

    await git("clone", "-q", `${guest.address}:work.git`, clone);
    await git("-C", clone, "commit", "-q", "--allow-empty", "-m", "one");
    const pushed = await git("-C", clone, "push", "-q", "origin", "HEAD");

    expect(pushed).toEqual({ code: 0, out: "", err: "" });
    expect((await guest.ssh([], "git -C work.git log --all --format=%s")).out).toBe("one\n");
  });

  test("screen keeps a session for the next client", async () => {
    const name = `kept-${guest.address.split("@")[0]}`;
    const until = (not = "") => `until ${not} screen -ls | grep ${name}; do sleep 0.1; done`;
    const begun = await guest.ssh(["-tt"], `screen -dmS ${name} sh -c 'exec cat'; ${until()}`);
    const found = await guest.ssh(["-tt"], `${until()}; screen -S ${name} -X quit; ${until("!")}`);

    expect([begun.out, found.out]).toEqual([expect.stringContaining(name), expect.stringContaining(name)]);
  });

  test("a shell without a terminal runs commands from its input, as VS Code does at its start", async () => {
    const words = [...guest.sshLine.split(" ").slice(1), "-T", "-D", String(await freePort()), guest.address, "bash"];

    const answer = await guest.run("ssh", words, "echo start\nuname -s\necho end $?\n");

    expect(answer).toEqual({ code: 0, out: "start\nLinux\nend 0\n", err: "" });
  });
}

/** Excludes the settings of the user who runs the tests. */
const ours = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  ...Object.fromEntries(
    ["AUTHOR", "COMMITTER"].flatMap((who) => [
      [`GIT_${who}_NAME`, "me"],
      [`GIT_${who}_EMAIL`, "me@laptop"],
    ]),
  ),
};
