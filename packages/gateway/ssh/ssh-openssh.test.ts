import { execFile, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, statfsSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { keyFile, openSshFixture, type SshFixture } from "./ssh-fixture.ts";

const hasOpenSsh = ["ssh", "sftp", "scp"].every((name) => !spawnSync(name, [], { stdio: "ignore" }).error);

describe.each(["bubblewrap", "none"] as const)("the OpenSSH client, isolation %s", (isolation) => {
  if (!hasOpenSsh || (isolation === "bubblewrap" && !canSandbox())) {
    it("needs ssh, sftp, scp and the isolation", ({ skip }) => skip("this machine lacks one of them"));
    return;
  }

  let fixture: SshFixture;
  let options: string[];
  beforeEach(async () => {
    fixture = await openSshFixture(isolation);
    await fixture.begin();
    const settings = [
      ...["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR"],
      ...["BatchMode=yes", "IdentityAgent=none"],
    ];
    const identity = ["-F", "/dev/null", "-i", keyFile(fixture.root, fixture.key)];
    options = [...identity, ...settings.flatMap((setting) => ["-o", setting])];
  });
  afterEach(async () => {
    await fixture.close();
  });
  const address = () => `${fixture.login}@127.0.0.1`;
  const ssh = (...words: string[]) => run("ssh", ["-p", String(fixture.server.port), ...options, address(), ...words]);
  const scp = (...words: string[]) => run("scp", ["-P", String(fixture.server.port), ...options, ...words]);
  const sftp = (batch: string) =>
    run("sftp", ["-P", String(fixture.server.port), ...options, "-b", "-", address()], batch);

  it("runs a command and returns its exit code", async () => {
    const { code, out, err } = await ssh("echo $((6 * 7)); echo oh >&2; exit 5");

    expect({ code, out, err }).toEqual({ code: 5, out: "42\n", err: "oh\n" });
  });

  it("gets a terminal when it requests one", async () => {
    const { code, out } = await run("ssh", [
      "-tt",
      "-p",
      String(fixture.server.port),
      ...options,
      address(),
      "test -t 1 && echo tty",
    ]);

    expect({ code, out }).toEqual({ code: 0, out: "tty\r\n" });
  });

  it("gets a terminal with a valid name", async ({ skip }) => {
    const { stdout } = spawnSync("/bin/sh", ["-c", "script --version"], { encoding: "utf8" });
    if (isolation === "bubblewrap" && !stdout.includes("util-linux")) return skip("this machine has no script(1)");
    const input = 'tty && test "$(tty)" -ef /dev/fd/0 && test -c "$(tty)" && echo same';

    const { code, out } = await run("ssh", ["-tt", "-p", String(fixture.server.port), ...options, address(), input]);

    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^\/dev\/pts\/\d+\r\nsame\r\n$/) });
  });

  it("copies files in both directions, big ones and whole trees, with their modes", async () => {
    const bytes = randomBytes(3_000_000);
    const [there, back] = [join(fixture.root, "there"), join(fixture.root, "back")];
    mkdirSync(join(there, "deep er"), { recursive: true });
    writeFileSync(join(there, "deep er", "big"), bytes);
    writeFileSync(join(there, "script"), "#!/bin/sh\necho ran\n", { mode: 0o755 });

    const put = await scp("-r", "-p", there, `${address()}:copied`);
    const ran = await ssh("copied/script; sha256sum < 'copied/deep er/big'");
    const got = await scp("-r", "-p", `${address()}:copied`, back);

    expect([put.code, got.code, put.err, got.err]).toEqual([0, 0, "", ""]);
    expect(ran.out).toBe(`ran\n${createHash("sha256").update(bytes).digest("hex")}  -\n`);
    expect(readFileSync(join(back, "deep er", "big")).equals(bytes)).toBe(true);
    expect(statSync(join(back, "script")).mode & 0o777).toBe(0o755);
  });

  it("lists, renames, links, changes and removes files by sftp", async () => {
    const local = join(fixture.root, "local");
    writeFileSync(local, "some text");

    const { code, out, err } = await sftp(
      [
        ...["mkdir d", `put ${local} d/one`, "rename d/one d/two", "symlink two d/link", "chmod 600 d/two", "ls -la d"],
        ...[`get d/link ${local}.back`, "pwd", "rm d/link", "rm d/two", "rmdir d", "ls"],
      ].join("\n"),
    );

    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/-rw------- .* 9 .* d\/two|-rw------- .* 9 .* two/);
    expect(out).toContain(`Remote working directory: ${fixture.directory}/0/work`);
    expect(readFileSync(`${local}.back`, "utf8")).toBe("some text");
  });

  it("gets an error for a missing file and for a refused operation", async () => {
    const { code, err } = await sftp("get nothing\n");
    const { code: written, err: refusal } = await sftp("cd ..\nput /etc/hostname ../berth-was-here\n");

    expect(code).toBe(1);
    expect(err).toContain("not found");
    if (isolation === "bubblewrap") {
      expect(written).toBe(1);
      expect(refusal).toMatch(/Read-only file system|Permission denied|Failure/);
    }
  });

  it("shows free space by sftp", async () => {
    const { code, out, err } = await sftp("df\n");
    const missing = await sftp("df missing\n");

    const [, sizes = ""] = out.split("\n").filter((line) => !line.startsWith("sftp>"));
    const [size = 0, used = 0, free = 0] = sizes.trim().split(/\s+/).map(Number);
    const { blocks, bavail, bfree, bsize } = statfsSync(join(fixture.directory, "0", "work"));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(missing.code).toBe(1);
    expect(size).toBe(Math.floor((blocks * bsize) / 1024));
    // Others write to this disk at the same time.
    const near = 0.05 * size;
    expect(Math.abs(free - (bavail * bsize) / 1024)).toBeLessThan(near);
    expect(Math.abs(used - ((blocks - bfree) * bsize) / 1024)).toBeLessThan(near);
  });

  if (isolation === "bubblewrap") {
    it("sees by sftp the same files as the run, even behind links", async () => {
      const secret = join(fixture.home, "secret");
      writeFileSync(secret, "of the stack");
      symlinkSync(secret, join(fixture.directory, "0", "work", "link"));

      const { code, err } = await sftp(`get link ${join(fixture.root, "stolen")}\n`);

      expect(code).toBe(1);
      expect(err).toMatch(/not found|No such file/);
    });
  }
});

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(file: string, words: readonly string[], input = ""): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile(file, words, { timeout: PATIENCE_MS }, (error, out, err) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, out, err });
    });
    child.stdin?.end(input);
  });
}
