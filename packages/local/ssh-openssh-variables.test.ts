import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

describe.each(["bubblewrap", "none"] as const)("a run whose variables would change Node, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  beforeEach(async () => {
    // Each Node that has it ends at once.
    fixture = await openOpenSshFixture(isolation, { NODE_OPTIONS: "--require /nowhere.cjs" });
  });
  afterEach(() => fixture.close());

  it("has them in its commands, and neither in its SFTP server nor in what forwards its ports", async () => {
    const said = await fixture.ssh([], "echo $NODE_OPTIONS");
    const listed = await fixture.sftp("pwd\n");
    const staying = fixture.stay(["-R", "0:127.0.0.1:9"], "echo up; exec sleep 600");
    const [up] = await once(staying.stdout ?? staying, "data");

    expect(said.out).toBe("--require /nowhere.cjs\n");
    expect(listed).toMatchObject({ code: 0, out: expect.stringContaining("Remote working directory") });
    expect(String(up)).toBe("up\n");
  });

  it("has the documented variables and nothing of ours besides, in a command and in a terminal", async () => {
    const shows = "env; printenv OLDPWD || echo OLDPWD=unset";
    const plain = await fixture.ssh([], shows);
    const shown = await fixture.ssh(["-tt"], shows);

    const ours = (text: string) => text.match(/^(BERTH_\w+|OLDPWD=\w+)/gm)?.toSorted();
    const documented = ["BERTH_GPUS", "BERTH_RUN", "OLDPWD=unset"];
    expect([ours(plain.out), ours(shown.out)]).toEqual([documented, documented]);
  });
});
