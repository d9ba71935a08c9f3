import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "#process/fixture.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { processVolumes } from "#process/volumes/volumes.ts";
import { noticesConformance, openShownTerminal } from "#tests/conformance/openssh/notices.ts";
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

  const tell = async (kind: "warning" | "news" | "end", words: string, more: object = {}) => {
    await fixture.compute.tell(fixture.uid, 1, { kind, words, at: now(), ...more });
    return words;
  };
  const beginWithDisk = async () => {
    const wanted = { token: "disk", sizeGb: 1, zone: "local", snapshotId: undefined };
    const volume = await processVolumes({ home: fixture.home }).createVolume(wanted);
    await fixture.begin({ mounts: [{ volume, path: "/workspace" }] });
  };
  const open = async () => openShownTerminal(await fixture.connect());

  noticesConformance(async ({ hasDisk }) => {
    if (hasDisk) await beginWithDisk();
    else await fixture.begin();
    return {
      connect: fixture.connect,
      warn: () => tell("warning", "Expires in 5 minutes", { endsAt: now() + 5 * 60_000 }),
      extend: () => tell("news", "Extended: expires at 2026-01-20 18:30 UTC"),
      end: async () => {
        const words = await tell("end", "This environment has expired: Its time is over");
        await fixture.compute.remove(fixture.uid, 1, { graceSeconds: 0, force: false });
        await eventually(fixture.observe, (seen) => seen === undefined);
        return words;
      },
      close: async () => undefined,
    };
  });

  it("contain no control sequences", async () => {
    await fixture.begin();
    const terminal = await open();

    await tell("warning", "a\u001b]0;title\u0007\u202eb");

    await terminal.shows("[berth] a ]0;title b");
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
});
