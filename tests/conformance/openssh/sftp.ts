import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for SFTP with the clients of OpenSSH 9. */
export function sftpConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  beforeAll(async () => {
    guest = await open();
  });
  afterAll(() => guest.close());

  test("announces the extensions that docs/ssh.md lists, and no others", async () => {
    const page = readFileSync(new URL("../../../docs/ssh.md", import.meta.url), "utf8");
    const [, table = ""] = page.split("## Extensions of SFTP 3");
    const listed = [...table.matchAll(/^\| `(\S+)` \| (\d+) \|/gm)].map(([, name, version]) => `${name} ${version}`);

    expect(await announced(guest)).toEqual(listed);
    expect(listed.length).toBeGreaterThan(10);
  });

  test("expands ~ for scp", async () => {
    const file = join(guest.root, "file");
    writeFileSync(file, randomBytes(1_000));

    const put = await guest.scp(file, `${guest.address}:~/there`);
    const got = await guest.scp(`${guest.address}:~/there`, join(guest.root, "back"));

    expect([put, got].map(({ code, err }) => ({ code, err }))).toEqual(Array(2).fill({ code: 0, err: "" }));
    expect(readFileSync(join(guest.root, "back"))).toEqual(readFileSync(file));
    expect((await guest.ssh([], 'wc -c < "$HOME/there"')).out.trim()).toBe("1000");
  });

  test("expands ~user for scp", async () => {
    const { out: user } = await guest.ssh([], "id -un; echo text > ~/of-user");

    const got = await guest.scp(`${guest.address}:~${user.trim()}/of-user`, join(guest.root, "of-user"));
    const nobody = await guest.scp(`${guest.address}:~no-such-user/there`, join(guest.root, "none"));

    expect(got).toMatchObject({ code: 0, err: "" });
    expect(readFileSync(join(guest.root, "of-user"), "utf8")).toBe("text\n");
    expect(nobody).toMatchObject({ code: 1, err: expect.stringContaining("no-such-user") });
  });

  test("copies within the environment", async () => {
    const file = join(guest.root, "large");
    writeFileSync(file, randomBytes(3_000_000));
    await guest.sftp(`put ${file} large\n`);

    const { code, err } = await guest.sftp("copy large large-copy\n");

    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(await guest.ssh([], "cmp large large-copy")).toMatchObject({ code: 0 });
    const missing = await guest.sftp("copy nothing there\n");
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining("No such file") });
  });

  test("makes links of both kinds", async () => {
    await guest.ssh([], "echo text > target");

    const { code, err } = await guest.sftp("ln target hard\nln -s target soft\nls -l\n");

    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect((await guest.ssh([], "stat -c %h target && readlink soft")).out).toBe("2\ntarget\n");
  });

  test("shows the owners of files, and syncs sent files", async () => {
    const file = join(guest.root, "synced");
    writeFileSync(file, "text");
    const { out: user } = await guest.ssh([], "id -un");

    const { code, out, err } = await guest.sftp(`put -f ${file} synced\nls -l synced\n`);

    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(new RegExp(`^-\\S+ .* ${user.trim()} .* synced$`, "m"));
    expect(statSync(file).size).toBe(4);
  });
}

/** The names and versions of a server's extensions, from its first packet (draft-ietf-secsh-filexfer-02, 4). */
async function announced({ sshLine, address }: SshGuest): Promise<string[]> {
  const [file = "", ...words] = sshLine.split(" ");
  const client = spawn(file, [...words, "-s", address, "sftp"]);
  client.stdin.write(Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]));
  let bytes = Buffer.alloc(0);
  for await (const part of client.stdout) {
    bytes = Buffer.concat([bytes, part]);
    if (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) break;
  }
  client.kill();
  const texts: string[] = [];
  for (let at = 9; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    texts.push(bytes.toString("utf8", at + 4, end));
    at = end;
  }
  return Array.from({ length: texts.length / 2 }, (_, n) => `${texts[2 * n]} ${texts[2 * n + 1]}`);
}
