import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for the home that sessions of an OpenSSH client have. */
export function homeConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  beforeEach(async () => {
    guest = await open();
  });
  afterEach(() => guest.close());

  test("is the same directory for commands, terminals and SFTP", async () => {
    const input = 'echo "$HOME"; pwd; cd && pwd; eval echo ~';
    const lines = (text: string) => text.replaceAll("\r", "").trim().split("\n");

    const plain = lines((await guest.ssh([], input)).out);
    const terminal = lines((await guest.ssh(["-tt"], input)).out);
    const [, started = ""] = /Remote working directory: (.*)/.exec((await guest.sftp("pwd\n")).out) ?? [];

    expect(plain).toEqual(Array(4).fill(plain[0]));
    expect(plain[0]).toMatch(/^\//);
    expect(terminal).toEqual(plain);
    expect((await guest.ssh([], `cd '${started}' && pwd -P; cd; pwd -P`)).out).toMatch(/^(.*)\n\1\n$/);
  });

  test("accepts a copy without a target path", async () => {
    const local = join(guest.root, "notes");
    writeFileSync(local, "text\n");

    const copied = await guest.scp(local, `${guest.address}:`);

    expect(copied).toMatchObject({ code: 0, err: "" });
    expect((await guest.ssh([], 'cat "$HOME/notes" ~/notes; rm ~/notes')).out).toBe("text\ntext\n");
  });
}
