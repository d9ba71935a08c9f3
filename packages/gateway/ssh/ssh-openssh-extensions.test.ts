import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askAll, expected, listed, talk } from "#tests/conformance/openssh/sftp-extensions.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

const opensshServer = "/usr/lib/openssh/sftp-server";

it("each extension of docs/ssh.md is asked for below", () => {
  expect(listed.map((name) => name.split(" ")[0])).toEqual(Object.keys(expected).slice(0, -1));
});

it("OpenSSH's own server has the same extensions, and answers alike", async ({ skip }) => {
  if (!existsSync(opensshServer)) skip(`this machine has no ${opensshServer}`);
  const directory = mkdtempSync(join(tmpdir(), "berth-sftp-server-"));
  const server = await talk(spawn(opensshServer, ["-d", directory]));

  const replies = await askAll(server);

  server.close();
  rmSync(directory, { recursive: true });
  expect(server.announced.toSorted()).toEqual(listed.toSorted());
  expect(replies).toEqual(expected);
});

describe.each(["bubblewrap", "none"] as const)("the SFTP server of a run, isolation %s", (isolation) => {
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

  it("answers each extension of docs/ssh.md, and refuses others", async () => {
    const [program = "", ...words] = fixture.sshLine.split(" ");
    const server = await talk(spawn(program, [...words, "-s", fixture.address, "sftp"]));

    const replies = await askAll(server);

    server.close();
    expect(replies).toEqual(expected);
  });
});
