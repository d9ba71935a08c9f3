import { describe, it } from "vitest";
import { forwardsConformance } from "#tests/conformance/openssh/forwards.ts";
import { openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("forwards of the OpenSSH client, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  forwardsConformance(() => openOpenSshFixture(isolation));
});
