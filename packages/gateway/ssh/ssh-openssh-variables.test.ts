import { once } from "node:events";
import { userInfo } from "node:os";
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

  it("has them in its commands, but neither in its SFTP server nor in its port forwarder", async () => {
    const said = await fixture.ssh([], "echo $NODE_OPTIONS");
    const listed = await fixture.sftp("pwd\n");
    const staying = fixture.stay(["-R", "0:127.0.0.1:9"], "echo up; exec sleep 600");
    const [up] = await once(staying.stdout ?? staying, "data");

    expect(said.out).toBe("--require /nowhere.cjs\n");
    expect(listed).toMatchObject({ code: 0, out: expect.stringContaining("Remote working directory") });
    expect(String(up)).toBe("up\n");
  });

  it("has the login variables that sshd sets", async () => {
    const names = ["USER", "LOGNAME", "SHELL", "MAIL", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY"];
    const shows = names.map((name) => `echo "${name}=$${name}"`).join("; ");
    const said = async (options: string[]) =>
      Object.fromEntries((await fixture.ssh(options, shows)).out.split(/\r?\n/).map((line) => line.split(/=(.*)/)));
    const user = isolation === "bubblewrap" ? "berth" : userInfo().username;
    const { port } = fixture.server;

    const [plain, terminal] = [await said([]), await said(["-tt"])];

    const login = { USER: user, LOGNAME: user, SHELL: "/bin/bash", MAIL: `/var/mail/${user}` };
    expect(plain).toMatchObject({ ...login, SSH_TTY: "" });
    expect(terminal).toMatchObject({ ...login, SSH_TTY: expect.stringMatching(/^\/dev\/pts\/\d+$/) });
    expect(plain.SSH_CONNECTION).toMatch(new RegExp(`^127\\.0\\.0\\.1 \\d+ 127\\.0\\.0\\.1 ${port}$`));
    expect(plain.SSH_CLIENT).toMatch(new RegExp(`^127\\.0\\.0\\.1 \\d+ ${port}$`));
    expect(plain.SSH_CONNECTION?.split(" ")[1]).toBe(plain.SSH_CLIENT?.split(" ")[1]);
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

  it("has the documented variables and no other of Berth's, in a command and in a terminal", async () => {
    const shows = "env; printenv OLDPWD || echo OLDPWD=unset";
    const plain = await fixture.ssh([], shows);
    const shown = await fixture.ssh(["-tt"], shows);

    const ours = (text: string) => text.match(/^(BERTH_\w+|OLDPWD=\w+)/gm)?.toSorted();
    const documented = ["BERTH_GPUS", "BERTH_RUN", "OLDPWD=unset"];
    expect([ours(plain.out), ours(shown.out)]).toEqual([documented, documented]);
  });
});
