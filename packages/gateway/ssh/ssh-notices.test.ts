import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { ClientChannel } from "ssh2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "#process/fixture.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { processVolumes } from "#process/volumes/volumes.ts";
import { newSshKey } from "./login/ssh-keys.ts";
import { openSshFixture, type SshFixture } from "./ssh-fixture.ts";

const now = () => Date.now();

describe.each(["bubblewrap", "none"] as const)("notices at terminals, isolation %s", (isolation) => {
  if (isolation === "bubblewrap" && !canSandbox()) {
    it("needs bubblewrap", ({ skip }) => skip("this machine has none that works"));
    return;
  }

  let fixture: SshFixture;
  beforeEach(async () => {
    fixture = await openSshFixture(isolation);
  });
  afterEach(() => fixture.close());

  const tell = (kind: "warning" | "news" | "end", words: string, more: object = {}) =>
    fixture.compute.tell(fixture.uid, 1, { kind, words, at: now(), ...more });
  const beginWithDisk = async () => {
    const wanted = { token: "disk", sizeGb: 1, zone: "local", snapshotId: undefined };
    const volume = await processVolumes({ home: fixture.home }).createVolume(wanted);
    await fixture.begin({ mounts: [{ volume, path: "/workspace" }] });
  };
  /** A terminal with a shell in it, and all that was shown there. */
  const open = async () => {
    const client = await fixture.connect();
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      client.shell({ term: "xterm" }, (error, shell) => (error ? reject(error) : resolve(shell)));
    });
    let text = "";
    channel.on("data", (part: Buffer) => {
      text += String(part);
    });
    const closed = once(channel, "close");
    channel.write("echo re$((40 + 2))dy\n");
    const shows = (part: string) =>
      eventually(
        () => text,
        (all) => all.includes(part),
      );
    await shows("re42dy");
    return { channel, closed, shows, text: () => text };
  };

  it("reach every open terminal once, and no output of a command", async () => {
    await fixture.begin();
    const [first, second] = [await open(), await open()];

    await tell("warning", "Expires in 5 minutes");
    await Promise.all([first.shows("[berth] Expires in 5 minutes"), second.shows("[berth] Expires in 5 minutes")]);
    await tell("news", "Extended: expires at 2026-01-20 18:30 UTC");
    await first.shows("[berth] Extended: expires at 2026-01-20 18:30 UTC");

    expect(first.text().split("[berth] Expires in 5 minutes")).toHaveLength(2);
    expect((await fixture.say("echo plain")).out).toBe("plain\n");
  });

  it("are repeated at a login with the remaining time while they are current", async () => {
    await beginWithDisk();
    await tell("warning", "Expires in 5 minutes", { endsAt: now() + 3.5 * 60_000 });

    const warned = await open();
    await tell("news", "Extended: expires at 2026-01-20 18:30 UTC");
    const later = await open();

    expect(warned.text()).toMatch(/^\[berth\] Expires in 4 minutes\r\n/);
    expect(later.text()).not.toContain("[berth]");
  });

  it("contain no control sequences", async () => {
    await fixture.begin();
    const terminal = await open();

    await tell("warning", "a\u001b]0;title\u0007\u202eb");

    await terminal.shows("[berth] a ]0;title b");
  });

  it("say why a terminal is closed when its run is removed", async () => {
    await fixture.begin();
    const terminal = await open();

    await tell("end", "This environment has expired: Its time is over");
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: false });
    await terminal.closed;

    expect(terminal.text().split("[berth] This environment has expired: Its time is over")).toHaveLength(2);
  });

  it("say why a terminal is closed when the files of its run are removed first", async () => {
    await fixture.begin();
    const terminal = await open();

    await tell("end", "This environment has expired: Its time is over");
    rmSync(join(fixture.directory, "notice.json"));
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await terminal.closed;

    expect(terminal.text().split("[berth] This environment has expired: Its time is over")).toHaveLength(2);
  });

  it("say why a terminal is closed when the command of its run has ended", async () => {
    await fixture.begin({ command: 'until [ -e "$HOME/end" ]; do sleep 0.1; done; exit 3' });
    const terminal = await open();

    terminal.channel.write("touch ~/end\n");
    await terminal.closed;

    expect(terminal.text()).toContain("[berth] This environment has ended: command exited with code 3");
  });

  it("are not shown when a user leaves a shell", async () => {
    await beginWithDisk();
    const terminal = await open();

    terminal.channel.write("exit\n");
    await terminal.closed;

    expect(terminal.text()).not.toContain("[berth]");
  });

  it("warn at a login, but not at a command, that files are lost without a disk", async () => {
    await fixture.begin();

    const terminal = await open();

    const line = "[berth] No disk: files in $WORKSPACE and the home are lost when the environment ends\r\n";
    expect(terminal.text().startsWith(line)).toBe(true);
    expect(await fixture.say("echo plain")).toMatchObject({ out: "plain\n", err: "" });
  });

  it("tell a later login why the environment has ended, but only with an admitted key", async () => {
    await fixture.begin();
    await tell("end", "This environment was cancelled: Cancelled by its owner");
    await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: true });
    await eventually(fixture.observe, (seen) => seen === undefined);

    const said = await fixture.say("cat /etc/passwd");
    const client = await fixture.connect();
    const forward = new Promise((resolve, reject) => {
      client.forwardOut("127.0.0.1", 1, "127.0.0.1", 22, (error) => (error ? reject(error) : resolve(undefined)));
    });

    expect(said.err).toMatch(/^\[berth\] This environment was cancelled: Cancelled by its owner \(20\d\d-.* UTC\)/);
    expect([said.code, said.out]).toEqual([255, ""]);
    await expect(forward).rejects.toThrow();
    const stranger = fixture.connect({ privateKey: newSshKey().private });
    await expect(stranger).rejects.toThrow("All configured authentication methods failed");
  });
});
