import { describe, it } from "vitest";
import { largeConformance } from "#tests/conformance/openssh/large.ts";
import { openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("large requests on one shared connection, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  largeConformance(() => openOpenSshFixture(isolation));
});
