import { describe, it } from "vitest";
import { agentConformance } from "#tests/conformance/openssh/agent.ts";
import { openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("the agent of an OpenSSH client, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  agentConformance(() => openOpenSshFixture(isolation));
});
