import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for commands and copies by the clients of OpenSSH. */
export function copiesConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  beforeAll(async () => {
    guest = await open();
  });
  afterAll(() => guest.close());

  test("runs a command and returns its exit code", async () => {
    const answer = await guest.ssh([], "echo $((6 * 7)); echo oh >&2; exit 5");

    expect(answer).toEqual({ code: 5, out: "42\n", err: "oh\n" });
  });

  test("gets a terminal when it requests one", async () => {
    const { code, out } = await guest.ssh(["-tt"], "test -t 1 && echo tty");

    expect({ code, out }).toEqual({ code: 0, out: "tty\r\n" });
  });

  test("gets a terminal with a valid name", async () => {
    const input = 'tty && test "$(tty)" -ef /dev/fd/0 && test -c "$(tty)" && echo same';

    const { code, out } = await guest.ssh(["-tt"], input);

    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^\/dev\/pts\/\d+\r\nsame\r\n$/) });
  });

  test("copies files in both directions, big ones and whole trees, with their modes", async () => {
    const bytes = randomBytes(3_000_000);
    const [there, back] = [join(guest.root, "there"), join(guest.root, "back")];
    mkdirSync(join(there, "deep er"), { recursive: true });
    writeFileSync(join(there, "deep er", "big"), bytes);
    writeFileSync(join(there, "script"), "#!/bin/sh\necho ran\n", { mode: 0o755 });

    const put = await guest.scp("-r", "-p", there, `${guest.address}:copied`);
    const ran = await guest.ssh([], "copied/script; sha256sum < 'copied/deep er/big'");
    const got = await guest.scp("-r", "-p", `${guest.address}:copied`, back);

    expect([put.code, got.code, put.err, got.err]).toEqual([0, 0, "", ""]);
    expect(ran.out).toBe(`ran\n${createHash("sha256").update(bytes).digest("hex")}  -\n`);
    expect(readFileSync(join(back, "deep er", "big")).equals(bytes)).toBe(true);
    expect(statSync(join(back, "script")).mode & 0o777).toBe(0o755);
  });

  test("lists, renames, links, changes and removes files by sftp", async () => {
    const local = join(guest.root, "local");
    writeFileSync(local, "some text");
    const { out: directory } = await guest.ssh([], "pwd -P");

    const { code, out, err } = await guest.sftp(
      [
        ...["mkdir d", `put ${local} d/one`, "rename d/one d/two", "symlink two d/link", "chmod 600 d/two", "ls -la d"],
        ...[`get d/link ${local}.back`, "pwd", "rm d/link", "rm d/two", "rmdir d", "ls"],
      ].join("\n"),
    );

    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/-rw------- .* 9 .* d\/two|-rw------- .* 9 .* two/);
    expect(out).toContain(`Remote working directory: ${directory}`);
    expect(readFileSync(`${local}.back`, "utf8")).toBe("some text");
  });

  test("gets an error for a missing file", async () => {
    const { code, err } = await guest.sftp("get nothing\n");

    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("not found") });
  });

  test("shows free space by sftp", async () => {
    const blocks = "stat -f -c '%b %f %a %S' .";
    const [size = 0, free = 0, available = 0, bytes = 0] = (await guest.ssh([], blocks)).out.split(" ").map(Number);

    const { code, out, err } = await guest.sftp("df\n");
    const missing = await guest.sftp("df missing\n");

    const [, line = ""] = out.split("\n").filter((text) => !text.startsWith("sftp>"));
    const [shown = 0, shownUsed = 0, shownAvailable = 0] = line.trim().split(/\s+/).map(Number);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(missing.code).toBe(1);
    expect(shown).toBe(Math.floor((size * bytes) / 1024));
    // Others write to this disk at the same time.
    const near = 0.05 * shown;
    expect(Math.abs(shownAvailable - (available * bytes) / 1024)).toBeLessThan(near);
    expect(Math.abs(shownUsed - ((size - free) * bytes) / 1024)).toBeLessThan(near);
  });
}
