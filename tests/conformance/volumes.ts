import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SnapshotTags, VolumeSnapshot, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";

/** Volumes under test, a way to let their time pass, and access to their contents. */
export interface VolumesUnderTest {
  readonly volumes: Volumes;
  pass(ms: number): Promise<void>;
  /** Writes a text into a volume, and reads it. */
  readonly content: {
    write(volume: string, text: string): Promise<void>;
    read(volume: string): Promise<string>;
  };
  /** Has a run mount the volume, if the test can. */
  mount?(volume: string): Promise<void>;
  close(): Promise<void>;
}

const disk = "d".repeat(32);
const tags: SnapshotTags = { name: "data", disk, attempt: "a-r1-1", key: `owner#${"0".repeat(32)}#disk|${disk}` };
/** Machine without volumes. */
const machine = { name: "n1", uid: "u1", providerId: "p1" };
/** Invalid ids, some of which would be paths. */
const strangers = ["", "..", "../runs", "/etc", "vol-1/../vol-1", "vol-\0", "snap-\0", "x".repeat(300), "__proto__"];

export type EmptyVolumes = Pick<Volumes, "createVolume" | "findVolume" | "listVolumes" | "listOwned" | "removeVolume">;

/** Conformance tests of Volumes without snapshots. */
export function emptyVolumesConformance(
  open: () => Promise<{ readonly volumes: EmptyVolumes; close(): Promise<void> }>,
): void {
  let opened: Awaited<ReturnType<typeof open>>;

  beforeEach(async () => {
    opened = await open();
  });
  afterEach(async () => {
    await opened.close();
  });
  const test = () => opened;

  describe("volumes", () => {
    it("are found as they were created, without a mount", async () => {
      const wanted = { token: "t", sizeGb: 10, zone: "zone-b", snapshotId: undefined };

      const { id, zone } = await test().volumes.createVolume(wanted);

      expect(zone).toBe("zone-b");
      expect(await test().volumes.findVolume(id)).toMatchObject({ id, zone: "zone-b", attached: false });
    });

    it("are created once per token, even by twenty concurrent calls and later", async () => {
      const wanted = { token: "t", sizeGb: 10, zone: "z", snapshotId: undefined };
      const atOnce = Array.from({ length: 20 }, () => test().volumes.createVolume(wanted));

      const made = await Promise.all(atOnce);
      const later = await test().volumes.createVolume(wanted);
      const otherRef = await test().volumes.createVolume({ ...wanted, token: "../t" });

      expect(new Set([...made, later].map(({ id, zone }) => `${id} ${zone}`)).size).toBe(1);
      expect(otherRef.id).not.toBe(later.id);
    });

    it("are listed by their token until they are removed", async () => {
      const { volumes } = test();
      const wanted = { token: "t", sizeGb: 10, zone: "z", snapshotId: undefined };
      const { id } = await volumes.createVolume(wanted);
      await volumes.createVolume({ ...wanted, token: "other" });

      const listed = await volumes.listVolumes("t");
      await volumes.removeVolume(id);

      expect(listed).toEqual([{ id, zone: "z", attached: false }]);
      expect(await volumes.listVolumes("t")).toEqual([]);
      for (const stranger of strangers) expect(await volumes.listVolumes(stranger), stranger).toEqual([]);
    });

    it("are listed with their record until they are removed", async () => {
      const { volumes } = test();
      const wanted = { sizeGb: 10, zone: "z", snapshotId: undefined };
      const key = `owner#${"0".repeat(32)}#env#gpu-dev|a b\u00e9`;
      const { id } = await volumes.createVolume({ ...wanted, token: "t", key });
      const otherRef = await volumes.createVolume({ ...wanted, token: "other" });

      const { volumes: listed } = await volumes.listOwned();
      await volumes.removeVolume(id);

      expect(listed).toHaveLength(2);
      expect(listed).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ id, key }),
          expect.objectContaining({ id: otherRef.id, key: null }),
        ]),
      );
      // Some listings omit sizes.
      expect(listed.map(({ sizeGb = wanted.sizeGb }) => sizeGb)).toEqual([wanted.sizeGb, wanted.sizeGb]);
      expect((await volumes.listOwned()).volumes).toMatchObject([{ id: otherRef.id, key: null }]);
    });

    it("are gone once removed, however often, and their token then creates a new one", async () => {
      const wanted = { token: "t", sizeGb: 10, zone: "z", snapshotId: undefined };
      const { id } = await test().volumes.createVolume(wanted);

      await test().volumes.removeVolume(id);
      await test().volumes.removeVolume(id);

      expect(await test().volumes.findVolume(id)).toBeUndefined();
      expect((await test().volumes.createVolume(wanted)).id).not.toBe(id);
    });

    it("are refused for a token that was used with another zone or size", async () => {
      const { volumes } = test();
      const wanted = { token: "t", sizeGb: 10, zone: "z", snapshotId: undefined };
      const { id } = await volumes.createVolume(wanted);

      for (const otherEntry of [{ zone: "elsewhere" }, { sizeGb: 11 }]) {
        await expect(volumes.createVolume({ ...wanted, ...otherEntry }), JSON.stringify(otherEntry)).rejects.toThrow();
      }

      expect((await volumes.createVolume(wanted)).id).toBe(id);
    });

    it("are neither found nor removed by an invalid id", async () => {
      const { volumes } = test();
      const { id } = await volumes.createVolume({ token: "t", sizeGb: 10, zone: "z", snapshotId: undefined });

      for (const stranger of strangers) {
        await volumes.removeVolume(stranger);
        expect(await volumes.findVolume(stranger), stranger).toBeUndefined();
      }

      expect(await volumes.findVolume(id)).toMatchObject({ id });
    });
  });
}

/** Conformance tests of Volumes. */
export function volumesConformance(open: () => Promise<VolumesUnderTest>): void {
  emptyVolumesConformance(open);
  withSnapshotsConformance(open);
}

function withSnapshotsConformance(open: () => Promise<VolumesUnderTest>): void {
  let test: VolumesUnderTest;
  let made = 0;

  beforeEach(async () => {
    test = await open();
  });
  afterEach(async () => {
    await test.close();
  });

  const newVolume = async (snapshotId?: string): Promise<string> => {
    const token = `disk-${++made}`;
    const { id } = await test.volumes.createVolume({ token, sizeGb: 10, zone: "zone-a", snapshotId });
    return id;
  };
  const ended = async (id: string): Promise<VolumeSnapshot> => {
    for (let tries = 0; tries < 6_000; tries += 1) {
      const found = await test.volumes.findSnapshot(id);
      if (found && found.state !== "pending") return found;
      await test.pass(20);
    }
    throw new Error(`The snapshot ${id} did not end`);
  };
  const newSnapshot = async (volume: string): Promise<string> => {
    const { id } = await test.volumes.createSnapshot(volume, tags);
    await ended(id);
    return id;
  };

  makesVolumes(() => ({ ...test, newVolume, newSnapshot }));
  makesSnapshots(() => ({ ...test, newVolume, newSnapshot, ended }));
  tagsSnapshots(() => ({ ...test, newVolume, newSnapshot }));
  keepsNamesakesApart(() => ({ ...test, ended }));
}

interface Subject extends VolumesUnderTest {
  newVolume(snapshotId?: string): Promise<string>;
  /** Creates a snapshot, and returns its id once it is completed. */
  newSnapshot(volume: string): Promise<string>;
}

function makesVolumes(test: () => Subject): void {
  describe("volumes", () => {
    it("are refused for a token that was used with another snapshot", async () => {
      const { volumes, newVolume, newSnapshot } = test();
      const snapshotId = await newSnapshot(await newVolume());
      const wanted = { token: "t", sizeGb: 10, zone: "z", snapshotId: undefined };
      const { id } = await volumes.createVolume(wanted);

      await expect(volumes.createVolume({ ...wanted, snapshotId })).rejects.toThrow();

      expect((await volumes.createVolume(wanted)).id).toBe(id);
    });

    it("do not change when they are detached from no machine, or do not exist", async () => {
      const { volumes } = test();
      const { id } = await volumes.createVolume({ token: "t", sizeGb: 10, zone: "z", snapshotId: undefined });

      await volumes.detachVolume(id, machine);
      for (const stranger of strangers) await volumes.detachVolume(stranger, machine);

      expect(await volumes.findVolume(id)).toMatchObject({ id, zone: "z", attached: false });
    });

    it("are restored from a snapshot, even after its original volume is gone", async () => {
      const { volumes, content, newVolume, newSnapshot } = test();
      const id = await newVolume();
      await content.write(id, "kept");
      const snapshot = await newSnapshot(id);
      await content.write(id, "written later");
      await volumes.removeVolume(id);

      const restored = await newVolume(snapshot);

      expect(await volumes.findVolume(restored)).toMatchObject({ id: restored });
      expect(await content.read(restored)).toBe("kept");
    });

    it("are refused for a missing snapshot", async () => {
      const { volumes } = test();
      const wanted = { token: "t", sizeGb: 10, zone: "z" };

      for (const snapshotId of ["snap-0123456789abcdef", "snap-999", ...strangers]) {
        await expect(volumes.createVolume({ ...wanted, snapshotId }), snapshotId).rejects.toThrow();
      }
    });

    it("are neither found nor removed by an invalid id", async () => {
      const { volumes, newVolume, newSnapshot } = test();
      const id = await newVolume();
      const snapshot = await newSnapshot(id);

      for (const stranger of strangers) {
        await volumes.removeVolume(stranger);
        await volumes.removeSnapshot(stranger);
        expect(await volumes.findVolume(stranger), stranger).toBeUndefined();
        expect(await volumes.findSnapshot(stranger), stranger).toBeUndefined();
        expect(await volumes.listSnapshots(stranger), stranger).toEqual([]);
      }

      expect(await volumes.findVolume(id)).toMatchObject({ id });
      expect(await volumes.findSnapshot(snapshot)).toMatchObject({ id: snapshot });
    });
  });
}

function makesSnapshots(test: () => Subject & { ended(id: string): Promise<VolumeSnapshot> }): void {
  describe("snapshots", () => {
    it("are pending at first, then completed, with their tags and their point in time", async () => {
      const { volumes, newVolume, ended } = test();

      const begun = await volumes.createSnapshot(await newVolume(), tags);

      expect(begun.state).toBe("pending");
      expect(await ended(begun.id)).toEqual({ id: begun.id, at: begun.at, state: "completed", tags });
    });

    it("of a mounted volume contain earlier writes, or are refused without leftovers", async ({ annotate }) => {
      const { volumes, newVolume, ended, content, mount } = test();
      if (!mount) return void (await annotate("This test cannot mount a volume"));
      const id = await newVolume();
      await content.write(id, "before");
      await mount(id);

      const begun = volumes.createSnapshot(id, tags);
      if (!volumes.snapshotsInUse) {
        await expect(begun).rejects.toThrow(VolumeRefused);
        return expect(await volumes.listSnapshots(id)).toEqual([]);
      }
      const snapshot = await begun;
      await content.write(id, "after");

      expect((await ended(snapshot.id)).state).toBe("completed");
      expect(await content.read(await newVolume(snapshot.id))).toBe("before");
    });

    it("are separate for each of twenty concurrent attempts, and listed only with their volume", async () => {
      const { volumes, newVolume, ended } = test();
      const [id, otherName] = [await newVolume(), await newVolume()];

      const attempts = Array.from({ length: 20 }, (_, at) => ({ ...tags, attempt: `a-r1-${at}` }));
      const made = await Promise.all(attempts.map((attempt) => volumes.createSnapshot(id, attempt)));
      const states = await Promise.all(made.map(async (snapshot) => (await ended(snapshot.id)).state));

      expect(states).toEqual(made.map(() => "completed"));
      const listed = (await volumes.listSnapshots(id)).map((snapshot) => snapshot.id);
      expect(listed.toSorted()).toEqual(made.map((snapshot) => snapshot.id).toSorted());
      expect(new Set(listed).size).toBe(20);
      expect(await volumes.listSnapshots(otherName)).toEqual([]);
    });

    it("outlive their volume and are still listed with it", async () => {
      const { volumes, newVolume, newSnapshot } = test();
      const id = await newVolume();
      const snapshot = await newSnapshot(id);

      await volumes.removeVolume(id);

      expect(await volumes.findSnapshot(snapshot)).toMatchObject({ state: "completed" });
      expect((await volumes.listSnapshots(id)).map((snapshot) => snapshot.id)).toEqual([snapshot]);
    });

    it("are gone once removed, however often, finished or not", async () => {
      const { volumes, newVolume, newSnapshot } = test();
      const id = await newVolume();
      const finished = await newSnapshot(id);
      const unfinished = (await volumes.createSnapshot(id, { ...tags, attempt: "a-r1-2" })).id;

      for (const snapshot of [finished, unfinished, finished, unfinished]) await volumes.removeSnapshot(snapshot);

      expect(await volumes.listSnapshots(id)).toEqual([]);
      expect(await volumes.findSnapshot(unfinished)).toBeUndefined();
    });

    it("are listed with the record of their disk until they are removed, even without its volume", async () => {
      const { volumes, newVolume, newSnapshot, ended } = test();
      const [id, otherName] = [await newVolume(), await newVolume()];
      const { key, ...before } = tags;
      const snapshot = await newSnapshot(id);
      const untagged = (await volumes.createSnapshot(otherName, before)).id;
      await ended(untagged);
      await volumes.removeVolume(id);

      const { snapshots: listed } = await volumes.listOwnedSnapshots();
      await volumes.tagSnapshot(untagged, { name: "data", disk, key: "owner#é b#disk|y" });
      await volumes.removeSnapshot(snapshot);

      const rows = [
        { id: snapshot, key, tags },
        { id: untagged, key: null, tags: before },
      ];
      expect(listed).toHaveLength(2);
      expect(listed).toEqual(expect.arrayContaining(rows));
      const changed = { ...before, name: "data", disk, key: "owner#é b#disk|y" };
      expect((await volumes.listOwnedSnapshots()).snapshots).toEqual([
        { id: untagged, key: changed.key, tags: changed },
      ]);
    });

    it("are refused for a missing volume", async () => {
      for (const id of ["vol-0123456789abcdef", "vol-999", ...strangers]) {
        await expect(test().volumes.createSnapshot(id, tags), id).rejects.toThrow();
      }
    });
  });
}

function tagsSnapshots(test: () => Subject): void {
  describe("tags", () => {
    it("are replaced, except the attempt that made the snapshot", async () => {
      const { volumes, newVolume, newSnapshot } = test();
      const id = await newSnapshot(await newVolume());

      await volumes.tagSnapshot(id, { name: 'new "name" 🚀', disk: tags.disk });

      expect((await volumes.findSnapshot(id))?.tags).toEqual({ ...tags, name: 'new "name" 🚀' });
    });

    it("are refused for a missing snapshot with a message for the user", async () => {
      for (const id of ["snap-0123456789abcdef", ...strangers]) {
        const tagging = test().volumes.tagSnapshot(id, { name: "n", disk: "d" });

        await expect(tagging, id).rejects.toMatchObject({ name: "VolumeRefused", message: expect.stringMatching(/ /) });
      }
    });
  });
}

/** Tests a deleted disk beside a new disk of its name. */
function keepsNamesakesApart(test: () => VolumesUnderTest & { ended(id: string): Promise<VolumeSnapshot> }): void {
  const owner = "0".repeat(32);
  const newDisk = async (uid: string) => {
    const { volumes, content, ended } = test();
    const key = `owner#${owner}#disk|${uid}`;
    // Disks of one name may be created at the same moment, and their uids may begin alike.
    const { id } = await volumes.createVolume({
      token: `${uid}-1`,
      sizeGb: 10,
      zone: "zone-a",
      snapshotId: undefined,
      key,
    });
    await content.write(id, uid);
    const snapshot = await volumes.createSnapshot(id, { name: "data", disk: uid, attempt: "a-r1-1", key });
    await ended(snapshot.id);
    return { uid, key, id, snapshot: snapshot.id };
  };

  describe("the volumes and snapshots of two disks of one name", () => {
    it("are separate, and the purge of one keeps those of the other", async () => {
      const { volumes, content, ended } = test();
      const old = await newDisk(`${"d".repeat(31)}1`);
      const next = await newDisk(`${"d".repeat(31)}2`);
      await volumes.tagSnapshot(old.snapshot, { name: "data-dddddddd", disk: old.uid, key: old.key });

      for (const { id } of await volumes.listSnapshots(old.id)) await volumes.removeSnapshot(id);
      await volumes.removeVolume(old.id);

      expect(old.id).not.toBe(next.id);
      expect(await volumes.findVolume(old.id)).toBeUndefined();
      expect(await volumes.listVolumes(`${old.uid}-1`)).toEqual([]);
      expect(await volumes.listVolumes(`${next.uid}-1`)).toMatchObject([{ id: next.id }]);
      expect((await volumes.listOwned()).volumes).toMatchObject([{ id: next.id, key: next.key }]);
      expect((await volumes.listOwnedSnapshots()).snapshots).toEqual([
        { id: next.snapshot, key: next.key, tags: expect.objectContaining({ disk: next.uid }) },
      ]);
      expect((await ended(next.snapshot)).tags).toMatchObject({ name: "data", disk: next.uid });
      expect(await content.read(next.id)).toBe(next.uid);
    });

    it("keep their contents: a volume from the old disk's snapshot has the old disk's content", async () => {
      const { volumes, content } = test();
      const old = await newDisk(`${"d".repeat(31)}1`);
      await volumes.removeVolume(old.id);
      const next = await newDisk(`${"d".repeat(31)}2`);

      const wanted = { token: `${old.uid}-2`, sizeGb: 10, zone: "zone-a", snapshotId: old.snapshot, key: old.key };
      const restored = await volumes.createVolume(wanted);

      expect([await content.read(restored.id), await content.read(next.id)]).toEqual([old.uid, next.uid]);
    });
  });
}
