import { beforeEach, describe, expect, it } from "vitest";
import { memoryBlobs } from "#tests/fakes/memory-blobs.ts";
import { memoryVolumes } from "#tests/fakes/memory-volumes.ts";
import { listingBlob } from "./backups/content.ts";
import { listingBlobName, withListings } from "./listing.ts";

const run = `${"1".repeat(32)}-r2`;
const wanted = { token: "t", sizeGb: 10, zone: "z", snapshotId: undefined };
const tags = (attempt: string) => ({ name: "data", disk: "d".repeat(32), attempt });
let blobs: ReturnType<typeof memoryBlobs>;
let volumes: ReturnType<typeof withListings>;
let id: string;

/** A volume with a list of a run; runs know it by another name. */
beforeEach(async () => {
  blobs = memoryBlobs();
  const bare = memoryVolumes({ clock: { now: () => 0 }, isMounted: () => false });
  volumes = withListings(bare, blobs, (volume) => `claim-of-${volume}`);
  ({ id } = await volumes.createVolume(wanted));
  await blobs.put(listingBlobName(`claim-of-${id}`), new TextEncoder().encode(`${run}\n.:\nfile\n`));
});

const findText = async (name: string) => {
  const bytes = await blobs.get(name);
  return bytes && new TextDecoder().decode(bytes);
};

describe("volumes with lists of their files", () => {
  it.each([
    ["the first attempt", `${run}-1`, ".:\nfile\n"],
    ["a later attempt", `${run}-2`, ".:\nfile\n"],
    ["another run", `${run}2-1`, undefined],
  ])("give a backup only the list of its own run: %s", async (_, attempt, listed) => {
    const snapshot = await volumes.createSnapshot(id, tags(attempt));

    expect(await findText(listingBlob(snapshot.id))).toBe(listed);
  });

  it("make the backup although the list cannot be read", async () => {
    blobs.breakWith(new Error("away"));

    expect(await volumes.createSnapshot(id, tags(`${run}-1`))).toMatchObject({ tags: { attempt: `${run}-1` } });
  });

  it("remove a list with its volume or snapshot", async () => {
    const snapshot = await volumes.createSnapshot(id, tags(`${run}-1`));

    await volumes.removeSnapshot(snapshot.id);
    await volumes.removeVolume(id);

    expect(blobs.names()).toEqual([]);
  });
});
