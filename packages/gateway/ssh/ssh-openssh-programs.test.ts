import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort } from "#tests/fixtures/free-port.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

const programs = ["rsync", "git", "screen"];

describe.each(["bubblewrap", "none"] as const)("over the OpenSSH client, isolation %s", (isolation) => {
  const absent = programs.filter((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).error !== undefined);
  const lack = openSshLacks(isolation) ?? absent.map((name) => `this machine has no ${name}`)[0];
  if (lack !== undefined) {
    it("programs need the client and themselves", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  beforeEach(async () => {
    fixture = await openOpenSshFixture(isolation);
  });
  afterEach(async () => {
    await fixture.close();
  });

  it("rsync copies a tree in both directions, and nothing the second time", async () => {
    const [up, down] = [join(fixture.root, "up"), join(fixture.root, "down")];
    mkdirSync(join(up, "d"), { recursive: true });
    const bytes = randomBytes(1_000_000);
    writeFileSync(join(up, "d/big"), bytes);
    const rsync = (from: string, to: string) =>
      fixture.run("rsync", ["-a", "--stats", "-e", fixture.sshLine, from, to]);

    const first = await rsync(`${up}/`, `${fixture.address}:tree/`);
    const second = await rsync(`${up}/`, `${fixture.address}:tree/`);
    const back = await rsync(`${fixture.address}:tree/`, down);

    expect([first, second, back].map(({ code, err }) => [code, err])).toEqual(Array(3).fill([0, ""]));
    expect(first.out).toContain("regular files transferred: 1");
    expect(second.out).toContain("regular files transferred: 0");
    expect(readFileSync(join(down, "d/big")).equals(bytes)).toBe(true);
  });

  it("git clones from a run and pushes back", async () => {
    const clone = join(fixture.root, "clone");
    const git = (...words: string[]) => fixture.run("git", words, "", { ...ours, GIT_SSH_COMMAND: fixture.sshLine });
    await fixture.ssh([], "git init -q --bare work.git");

    await git("clone", "-q", `${fixture.address}:work.git`, clone);
    await git("-C", clone, "commit", "-q", "--allow-empty", "-m", "one");
    const pushed = await git("-C", clone, "push", "-q", "origin", "HEAD");

    expect(pushed).toEqual({ code: 0, out: "", err: "" });
    expect((await fixture.ssh([], "git -C work.git log --all --format=%s")).out).toBe("one\n");
  });

  it("screen keeps a session for the next client", async () => {
    const name = `kept-${fixture.uid.slice(0, 8)}`;
    const until = (not = "") => `until ${not} screen -ls | grep ${name}; do sleep 0.1; done`;
    const begun = await fixture.ssh(["-tt"], `screen -dmS ${name} sh -c 'exec cat'; ${until()}`);
    const found = await fixture.ssh(["-tt"], `${until()}; screen -S ${name} -X quit; ${until("!")}`);

    expect([begun.out, found.out]).toEqual([expect.stringContaining(name), expect.stringContaining(name)]);
  });

  it("a shell without a terminal runs commands from its input, as VS Code does at its start", async () => {
    const words = [
      ...fixture.sshLine.split(" ").slice(1),
      "-T",
      "-D",
      String(await freePort()),
      fixture.address,
      "bash",
    ];

    const answer = await fixture.run("ssh", words, "echo start\nuname -s\necho end $?\n");

    expect(answer).toEqual({ code: 0, out: "start\nLinux\nend 0\n", err: "" });
  });
});

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
