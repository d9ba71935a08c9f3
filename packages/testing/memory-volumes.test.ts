import { describe, expect, it } from "vitest";
import { manualClock } from "./clock.ts";
import { archivesConformance } from "./conformance/archives.ts";
import { volumesConformance } from "./conformance/volumes.ts";
import { memoryBlobs } from "./memory-blobs.ts";
import { memoryVolumes } from "./memory-volumes.ts";

describe("the memory volumes", () => {
  const open = async () => {
    const clock = manualClock();
    const volumes = memoryVolumes({ clock, isMounted: () => false, snapshotMs: 50, archiveMs: 50 });
    return { volumes, pass: async (ms: number) => clock.advance(ms), close: async () => undefined };
  };
  volumesConformance(open);
  archivesConformance(open);

  it("put an archive into Blobs once it is whole, and fail those that they are told to", async () => {
    const [clock, blobs] = [manualClock(), memoryBlobs()];
    const volumes = memoryVolumes({ clock, isMounted: () => false, blobs, archiveMs: 50 });
    const { id } = await volumes.createVolume({ token: "t", sizeGb: 1, zone: "z", snapshotId: undefined });
    await volumes.startArchive(id, "made");
    volumes.failArchives(1);
    await volumes.startArchive(id, "failed");
    clock.advance(50);

    const states = await Promise.all(["made", "failed"].map((name) => volumes.findArchive(name)));
    await volumes.startArchive(id, "late");
    await volumes.removeVolume(id);

    expect(states.map((found) => found?.state)).toEqual(["completed", "failed"]);
    expect(await volumes.findArchive("late")).toMatchObject({ state: "failed" });
    expect(blobs.names()).toEqual(["made"]);
  });
});
