import { describe, expect, it } from "vitest";
import { archivesConformance } from "../conformance/archives.ts";
import { volumesConformance } from "../conformance/volumes.ts";
import { manualClock } from "../fixtures/clock.ts";
import { memoryBlobs } from "./memory-blobs.ts";
import { memoryVolumes } from "./memory-volumes.ts";

const owner = { uid: "a".repeat(32), key: "owner#o#env#session-manager|one" };

describe.each([true, false])("the memory volumes, with snapshots in use: %s", (snapshotsInUse) => {
  const open = async () => {
    const clock = manualClock();
    const mounted = new Set<string>();
    const isMounted = (id: string) => mounted.has(id);
    const volumes = memoryVolumes({ clock, isMounted, snapshotMs: 50, archiveMs: 50, snapshotsInUse });
    const content = {
      write: async (volume: string, text: string) => volumes.write(volume, text),
      read: async (volume: string) => volumes.findContent(volume)?.content ?? "",
    };
    const mount = async (id: string) => void mounted.add(id);
    return { volumes, content, mount, pass: async (ms: number) => clock.advance(ms), close: async () => undefined };
  };
  volumesConformance(open);
  archivesConformance(open);
});

describe("the memory volumes", () => {
  it("show new volumes only after the configured time, with their contents and origin", async () => {
    const clock = manualClock();
    const volumes = memoryVolumes({ clock, isMounted: () => false, listedAfterMs: 1000 });
    const wanted = { token: "t", sizeGb: 1, zone: "z", snapshotId: undefined };
    const { id } = await volumes.createVolume(wanted);
    volumes.write(id, "kept");
    const snapshot = await volumes.createSnapshot(id, { name: "n", disk: "d", attempt: "a" });
    const early = [await volumes.findVolume(id), await volumes.listVolumes("t"), await volumes.listSnapshots(id)];
    await volumes.removeVolume(id);
    clock.advance(1000);

    const restored = await volumes.createVolume({ ...wanted, token: "r", snapshotId: snapshot.id });
    const late = await volumes.listVolumes("t");
    volumes.loseVolume(id);
    volumes.loseSnapshot(snapshot.id);

    expect(early).toEqual([undefined, [], []]);
    expect(late).toEqual([{ id, zone: "z", attached: false }]);
    expect(volumes.findContent(restored.id)).toEqual({ content: "kept", from: snapshot.id });
    expect(volumes.existing()).toEqual([{ id: restored.id, token: "r" }]);
  });

  it("hide a snapshot from every read for a while, and then show it unchanged", async () => {
    const clock = manualClock();
    const volumes = memoryVolumes({ clock, isMounted: () => false });
    const wanted = { token: "t", sizeGb: 1, zone: "z", snapshotId: undefined };
    const { id } = await volumes.createVolume(wanted);
    const snapshot = await volumes.createSnapshot(id, { name: "n", disk: "d", attempt: "a" });
    const copy = { ...wanted, token: "r", snapshotId: snapshot.id };
    volumes.hideSnapshot(snapshot.id, 1000);

    const hidden = [await volumes.findSnapshot(snapshot.id), await volumes.listSnapshots(id)];
    await volumes.removeSnapshot(snapshot.id);
    await expect(volumes.createVolume(copy)).rejects.toThrow("There is no completed snapshot");
    clock.advance(1000);

    expect(hidden).toEqual([undefined, []]);
    expect(await volumes.findSnapshot(snapshot.id)).toEqual(snapshot);
    expect(volumes.findContent((await volumes.createVolume(copy)).id)?.from).toBe(snapshot.id);
  });

  it("put an archive into Blobs once it is complete, and fail configured ones", async () => {
    const [clock, blobs] = [manualClock(), memoryBlobs()];
    const volumes = memoryVolumes({ clock, isMounted: () => false, blobs, archiveMs: 50 });
    const { id } = await volumes.createVolume({ token: "t", sizeGb: 1, zone: "z", snapshotId: undefined });
    await volumes.startArchive(id, "made", owner);
    volumes.failArchives(1);
    await volumes.startArchive(id, "failed", owner);
    clock.advance(50);

    const states = await Promise.all(["made", "failed"].map((name) => volumes.findArchive(name)));
    const hadBy = (await volumes.findVolume(id))?.attached;
    await volumes.startArchive(id, "late", owner);
    const has = (await volumes.findVolume(id))?.attached;
    await volumes.removeVolume(id);

    expect(states.map((found) => found?.state)).toEqual(["completed", "failed"]);
    expect([hadBy, has]).toEqual([false, true]);
    expect(await volumes.findArchive("late")).toMatchObject({ state: "failed" });
    expect(blobs.names()).toEqual(["made"]);
  });
});
