import { afterEach, beforeEach, expect } from "vitest";
import { type LeftOut, type SshGuest, testsExcept } from "./guest.ts";

/** Conformance tests for the variables that sessions of an OpenSSH client have. */
export function variablesConformance(open: () => Promise<SshGuest>, leftOut: LeftOut = {}): void {
  const test = testsExcept(leftOut);
  let guest: SshGuest;
  beforeEach(async () => {
    guest = await open();
  });
  afterEach(() => guest.close());

  test("include the login variables that sshd sets", async () => {
    const names = ["USER", "LOGNAME", "SHELL", "MAIL", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY"];
    const shows = `${names.map((name) => `echo "${name}=$${name}"`).join("; ")}; echo "ME=$(id -un)"`;
    const read = async (options: string[]) =>
      Object.fromEntries((await guest.ssh(options, shows)).out.split(/\r?\n/).map((line) => line.split(/=(.*)/)));
    const [, port] = /-p (\d+)/.exec(guest.sshLine) ?? [];

    const [plain, terminal] = [await read([]), await read(["-tt"])];

    const login = {
      USER: plain.ME,
      LOGNAME: plain.ME,
      SHELL: expect.stringMatching(/\/bash$/),
      MAIL: `/var/mail/${plain.ME}`,
    };
    expect(plain.ME).toMatch(/^\w+$/);
    expect(plain).toMatchObject({ ...login, SSH_TTY: "" });
    expect(terminal).toMatchObject({ ...login, SSH_TTY: expect.stringMatching(/^\/dev\/pts\/\d+$/) });
    expect(plain.SSH_CONNECTION).toMatch(new RegExp(`^127\\.0\\.0\\.1 \\d+ 127\\.0\\.0\\.1 ${port}$`));
    expect(plain.SSH_CLIENT).toMatch(new RegExp(`^127\\.0\\.0\\.1 \\d+ ${port}$`));
    expect(plain.SSH_CONNECTION?.split(" ")[1]).toBe(plain.SSH_CLIENT?.split(" ")[1]);
  });

  test("include the documented ones and no other of Berth's, in a command and in a terminal", async () => {
    const shows = "env; printenv OLDPWD || echo OLDPWD=unset";
    const plain = await guest.ssh([], shows);
    const shown = await guest.ssh(["-tt"], shows);

    const ours = (text: string) => text.match(/^(BERTH_\w+|OLDPWD=\w+)/gm)?.toSorted();
    const documented = ["BERTH_GPUS", "BERTH_RUN", "OLDPWD=unset"];
    expect([ours(plain.out), ours(shown.out)]).toEqual([documented, documented]);
  });
}
