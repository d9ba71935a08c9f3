import { spawnSync } from "node:child_process";
import { describe, it } from "vitest";
import { programsConformance } from "#tests/conformance/openssh/programs.ts";
import { openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

const programs = ["rsync", "git", "screen"];

describe.each(["bubblewrap", "none"] as const)("over the OpenSSH client, isolation %s", (isolation) => {
  const absent = programs.filter((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).error !== undefined);
  const lack = openSshLacks(isolation) ?? absent.map((name) => `this machine has no ${name}`)[0];
  if (lack !== undefined) {
    it("programs need the client and themselves", ({ skip }) => skip(lack));
    return;
  }

  programsConformance(() => openOpenSshFixture(isolation));
});
