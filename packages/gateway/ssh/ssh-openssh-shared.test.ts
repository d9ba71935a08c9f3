import { describe, it } from "vitest";
import { sharedConformance } from "#tests/conformance/openssh/shared.ts";
import { openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)(
  "one connection of several OpenSSH clients, isolation %s",
  (isolation) => {
    const lack = openSshLacks(isolation);
    if (lack !== undefined) {
      it("needs the client and the isolation", ({ skip }) => skip(lack));
      return;
    }

    sharedConformance(() => openOpenSshFixture(isolation));
  },
);
