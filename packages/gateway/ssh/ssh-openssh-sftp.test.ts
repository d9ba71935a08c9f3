import { describe, it } from "vitest";
import { sftpConformance } from "#tests/conformance/openssh/sftp.ts";
import { openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("SFTP of OpenSSH 9, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  sftpConformance(() => openOpenSshFixture(isolation));
});
