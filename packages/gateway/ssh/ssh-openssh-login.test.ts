import { describe, expect, it } from "vitest";
import { eventually } from "#process/fixture.ts";
import { loginConformance } from "#tests/conformance/openssh/login.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("the login shell of a run, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  loginConformance(() => openOpenSshFixture(isolation));

  it("is the same shell as that of the command of the run", async () => {
    const fixture = await openOpenSshFixture(isolation);
    const shows = "readlink /proc/$$/exe; exit";
    await fixture.compute.apply(fixture.runOf({ run: 2, command: shows }));
    await eventually(
      () => fixture.compute.observe(fixture.uid, 2),
      (seen) => seen?.state === "ended",
    );

    const { out } = await fixture.ssh([], shows);
    const log = await logText(fixture.compute.readLog(fixture.uid, 2));
    await fixture.close();

    expect([out, log]).toEqual([expect.stringMatching(/\/bash\n$/), out]);
  });
});
