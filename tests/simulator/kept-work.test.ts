import { expect, test } from "vitest";
import type { Disk } from "#core/disks/record.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { memoryVolumes } from "../fakes/memory-volumes.ts";
import { manualClock } from "../fixtures/clock.ts";
import { keptWorkWatch } from "./invariants/kept-work.ts";

const PENDING_MS = 60_000;
const uid = "a".repeat(32);

/** Returns a disk whose volume a job has written to, and the watch. */
async function written() {
  const clock = manualClock();
  const memory = memoryVolumes({ clock, isMounted: () => false, snapshotMs: PENDING_MS });
  const wanted = { owner: "alice", token: "first", name: "data", sizeGb: 10, zone: "zone-a" };
  const volume = await memory.createVolume(wanted as unknown as Parameters<typeof memory.createVolume>[0]);
  const disks = new Map([["disk", { uid: "disk", name: "data", phase: "available", volume } as Disk]]);
  const violations: string[] = [];
  const watch = keptWorkWatch({
    compute: { starts: () => 1, mounting: () => [] },
    volumes: memory,
    disks,
    violated: (text) => violations.push(text),
  });
  watch.wroteEnvironment({ uid, run: { n: 1, applyingAt: 1 }, disk: { uid: "disk", attached: true } } as Environment);
  const tags = { attempt: `${uid}-r1-1` } as Parameters<typeof memory.createSnapshot>[1];
  const watched = { ...memory, ...watch.watching(memory) };
  return { clock, volumes: watched, volume, tags, violations };
}

test("the removal of a written volume is reported while its snapshot is pending, and not once it is completed", async () => {
  const [early, late] = [await written(), await written()];

  for (const { volumes, volume, tags } of [early, late]) await volumes.createSnapshot(volume.id, tags);
  late.clock.advance(PENDING_MS);
  for (const { volumes, volume } of [early, late]) await volumes.removeVolume(volume.id);

  expect(early.violations).toEqual(["what a job wrote to disk data is lost"]);
  expect(late.violations).toEqual([]);
});

test("the removal of the last snapshot is reported after the volume is gone, unless the provider lost one of both", async () => {
  const [removed, lost] = [await written(), await written()];

  for (const { clock, volumes, volume, tags, violations } of [removed, lost]) {
    const { id } = await volumes.createSnapshot(volume.id, tags);
    clock.advance(PENDING_MS);
    if (violations === lost.violations) volumes.loseVolume(volume.id);
    else await volumes.removeVolume(volume.id);
    await volumes.removeSnapshot(id);
  }

  expect(removed.violations).toEqual(["what a job wrote to disk data is lost"]);
  expect(lost.violations).toEqual([]);
});
