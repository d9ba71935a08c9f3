import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { variablesConformance } from "#tests/conformance/openssh/variables.ts";
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

  it("has them in its commands, but neither in its SFTP server nor in its port forwarder", async () => {
    const said = await fixture.ssh([], "echo $NODE_OPTIONS");
    const listed = await fixture.sftp("pwd\n");
    const staying = fixture.stay(["-R", "0:127.0.0.1:9"], "echo up; exec sleep 600");
    const [up] = await once(staying.stdout ?? staying, "data");

    expect(said.out).toBe("--require /nowhere.cjs\n");
    expect(listed).toMatchObject({ code: 0, out: expect.stringContaining("Remote working directory") });
    expect(String(up)).toBe("up\n");
  });

  it("keeps the run's own values of the login variables", async () => {
    const env = { USER: "developer", SHELL: "/bin/sh", PATH: `/own:${process.env.PATH}` };
    await fixture.close();
    fixture = await openOpenSshFixture(isolation, env);
    const input = 'echo "$USER $SHELL $PATH"';

    const plain = (await fixture.ssh([], input)).out.trim();
    const login = (await fixture.ssh([], `bash -lc '${input}'`)).out.trim();

    expect(plain).toBe(`developer /bin/sh ${env.PATH}`);
    // Without a sandbox the profile is the machine's.
    if (isolation === "bubblewrap") expect(login.startsWith(plain)).toBe(true);
  });
});

describe.each(["bubblewrap", "none"] as const)("the variables of a session, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) it("need the client and the isolation", ({ skip }) => skip(lack));
  else variablesConformance(() => openOpenSshFixture(isolation));
});
