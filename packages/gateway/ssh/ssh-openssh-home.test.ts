import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
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
    let fixture: OpenSshFixture;
    beforeEach(async () => {
      fixture = await openOpenSshFixture(isolation, {}, disk);
    });
    afterEach(() => fixture.close());

    it("is the same directory for commands, terminals, SFTP and /etc/passwd", async () => {
      const input = 'echo "$HOME"; pwd; cd && pwd; eval echo ~; echo "$(getent passwd "$(id -u)" | cut -d: -f6)"';
      const lines = (text: string) => text.replaceAll("\r", "").trim().split("\n");

      const plain = lines((await fixture.ssh([], input)).out);
      const terminal = lines((await fixture.ssh(["-tt"], input)).out);
      const [, started = ""] = /Remote working directory: (.*)/.exec((await fixture.sftp("pwd\n")).out) ?? [];

      const [home = ""] = plain;
      // Without a sandbox /etc/passwd is the machine's.
      const seen = isSandboxed ? 5 : 4;
      expect(plain.slice(0, seen)).toEqual(Array(seen).fill(home));
      expect(terminal).toEqual(plain);
      expect((await fixture.ssh([], `cd '${started}' && pwd -P; cd; pwd -P`)).out).toMatch(/^(.*)\n\1\n$/);
      if (isSandboxed) expect([home, started]).toEqual(Array(2).fill(disk ?? join(fixture.directory, "0/work")));
    });

    it("accepts a copy without a target path", async () => {
      const local = join(fixture.root, "notes");

      await fixture.run("sh", ["-c", `echo text > ${local}`]);
      const copied = await fixture.scp(local, `${fixture.address}:`);

      expect(copied).toMatchObject({ code: 0, err: "" });
      expect((await fixture.ssh([], 'cat "$HOME/notes" ~/notes')).out).toBe("text\ntext\n");
    });

    if (isSandboxed) {
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
