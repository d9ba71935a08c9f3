import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("SFTP of OpenSSH 9, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  beforeAll(async () => {
    fixture = await openOpenSshFixture(isolation);
  });
  afterAll(() => fixture.close());

  it("announces the extensions that docs/ssh.md lists, and no others", async () => {
    const page = readFileSync(new URL("../../../docs/ssh.md", import.meta.url), "utf8");
    const [, table = ""] = page.split("## Extensions of SFTP 3");
    const listed = [...table.matchAll(/^\| `(\S+)` \| (\d+) \|/gm)].map(([, name, version]) => `${name} ${version}`);

    expect(await announced(fixture)).toEqual(listed);
    expect(listed.length).toBeGreaterThan(10);
  });

  it("expands ~ and ~user for scp", async () => {
    const file = join(fixture.root, "file");
    writeFileSync(file, randomBytes(1_000));
    const { out: user } = await fixture.ssh([], "id -un");

    const put = await fixture.scp(file, `${fixture.address}:~/there`);
    const got = await fixture.scp(`${fixture.address}:~${user.trim()}/there`, join(fixture.root, "back"));
    const nobody = await fixture.scp(`${fixture.address}:~no-such-user/there`, join(fixture.root, "none"));

    expect([put, got].map(({ code, err }) => ({ code, err }))).toEqual(Array(2).fill({ code: 0, err: "" }));
    expect(readFileSync(join(fixture.root, "back"))).toEqual(readFileSync(file));
    expect((await fixture.ssh([], 'wc -c < "$HOME/there"')).out.trim()).toBe("1000");
    expect(nobody).toMatchObject({ code: 1, err: expect.stringContaining("no-such-user") });
  });

  it("copies within the environment, and makes links of both kinds", async () => {
    const file = join(fixture.root, "large");
    writeFileSync(file, randomBytes(3_000_000));
    await fixture.sftp(`put ${file} large\n`);

    const { code, err } = await fixture.sftp("copy large copied\nln large linked\nln -s large soft\nls -l\n");

    expect({ code, err }).toEqual({ code: 0, err: "" });
    const { out } = await fixture.ssh([], "cmp large copied && stat -c %h large && readlink soft");
    expect(out).toBe("2\nlarge\n");
    const missing = await fixture.sftp("copy nothing there\n");
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining("No such file") });
  });

  it("shows the owners of files, and syncs sent files", async () => {
    const file = join(fixture.root, "synced");
    writeFileSync(file, "text");
    const { out: user } = await fixture.ssh([], "id -un");

    const { code, out, err } = await fixture.sftp(`put -f ${file} synced\nls -l synced\n`);

    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(new RegExp(`^-\\S+ .* ${user.trim()} .* synced$`, "m"));
    expect(statSync(file).size).toBe(4);
  });
});

/** The names and versions of a server's extensions, from its first packet (draft-ietf-secsh-filexfer-02, 4). */
async function announced({ sshLine, address }: OpenSshFixture): Promise<string[]> {
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
