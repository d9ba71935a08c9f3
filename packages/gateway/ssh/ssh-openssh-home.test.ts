import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { homeConformance } from "#tests/conformance/openssh/home.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "./openssh-fixture.ts";

const disks = [
  ["no disk", undefined],
  ["a disk", "/workspace"],
  ["a disk below /home", "/home/dev8"],
] as const;

describe.each(["bubblewrap", "none"] as const)("the home in a run, isolation %s", (isolation) => {
  const lack = openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client and the isolation", ({ skip }) => skip(lack));
    return;
  }
  const isSandboxed = isolation === "bubblewrap";

  describe.each(disks)("that has %s", (_, disk) => {
    homeConformance(() => openOpenSshFixture(isolation, {}, disk));

    let fixture: OpenSshFixture;
    beforeEach(async () => {
      fixture = await openOpenSshFixture(isolation, {}, disk);
    });
    afterEach(() => fixture.close());

    if (isSandboxed) {
      it("is the disk, or else the directory of the run, also in /etc/passwd", async () => {
        const home = disk ?? join(fixture.directory, "0/work");

        expect((await fixture.ssh([], 'pwd; getent passwd "$(id -u)" | cut -d: -f6')).out).toBe(`${home}\n${home}\n`);
        expect((await fixture.sftp("pwd\n")).out).toContain(`Remote working directory: ${home}\n`);
      });

      it("contains the settings that ssh, ssh-keygen and git read", async () => {
        const settings = 'mkdir -p -m 700 ~/.ssh; printf "Host gh\\n HostName github.com\\n" > ~/.ssh/config';
        const names = [
          `${settings}; ssh -G gh | grep -x "hostname github.com"`,
          'printf "\\n" | ssh-keygen -q -t ed25519 -N ""; ls ~/.ssh/id_ed25519.pub',
          "git config --global user.name Me && (unset HOME; cd; HOME=~ git config user.name)",
        ];

        const answers = [];
        for (const words of names) answers.push(await fixture.ssh([], words));

        expect(answers.map(({ out }) => out.replace(/^Enter.*:\s?/m, ""))).toEqual([
          "hostname github.com\n",
          expect.stringMatching(/\/\.ssh\/id_ed25519\.pub\n$/),
          "Me\n",
        ]);
      });
    }
  });

  it("is on the disk, which gets no files of Berth", async () => {
    const fixture = await openOpenSshFixture(isolation, {}, "/workspace");
    const agent = await fixture.startAgent();
    const input = 'echo kept > ~/.profile; test -S "$SSH_AUTH_SOCK" && echo agent';

    const said = await fixture.run(
      "ssh",
      [...fixture.sshLine.split(" ").slice(1), "-A", "-o", `IdentityAgent=${agent}`, fixture.address, input],
      "",
      { SSH_AUTH_SOCK: agent },
    );
    await fixture.sftp("ls\n");
    const volumes = join(fixture.home, "volumes");
    const [volume = ""] = readdirSync(volumes).filter((name) => name.startsWith("vol-"));

    expect(said.err).toBe("");
    expect(readdirSync(join(volumes, volume, "data"))).toEqual([".profile"]);
    expect(existsSync(join(fixture.directory, "0/work/.profile"))).toBe(false);
    await fixture.close();
  });
});
