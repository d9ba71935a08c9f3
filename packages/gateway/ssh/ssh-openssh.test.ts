import { spawnSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copiesConformance } from "#tests/conformance/openssh/copies.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

const { stdout } = spawnSync("/bin/sh", ["-c", "script --version"], { encoding: "utf8" });

describe.each(["bubblewrap", "none"] as const)("the OpenSSH client, isolation %s", (isolation) => {
  // A terminal of a sandbox gets its name from script(1).
  const hasNames = isolation === "none" || stdout.includes("util-linux");
  const lack = openSshLacks(isolation) ?? (hasNames ? undefined : "this machine has no script(1)");
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  copiesConformance(() => openOpenSshFixture(isolation));
});

describe("the OpenSSH client in a sandbox", () => {
  const lack = openSshLacks("bubblewrap");
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  beforeEach(async () => {
    fixture = await openOpenSshFixture("bubblewrap");
  });
  afterEach(() => fixture.close());

  it("is in the workspace, and cannot write beside it", async () => {
    const { out } = await fixture.sftp("pwd\n");
    const { code, err } = await fixture.sftp("cd ..\nput /etc/hostname ../berth-was-here\n");

    expect(out).toContain(`Remote working directory: ${fixture.directory}/0/work`);
    expect([code, err]).toEqual([1, expect.stringMatching(/Read-only file system|Permission denied|Failure/)]);
  });

  it("sees by sftp the same files as the run, even behind links", async () => {
    const secret = join(fixture.home, "secret");
    writeFileSync(secret, "of the stack");
    symlinkSync(secret, join(fixture.directory, "0", "work", "link"));

    const { code, err } = await fixture.sftp(`get link ${join(fixture.root, "stolen")}\n`);

    expect(code).toBe(1);
    expect(err).toMatch(/not found|No such file/);
  });
});
