import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Archive } from "#core/ports/volumes.ts";
import type { VolumesUnderTest } from "./volumes.ts";

const owner = { uid: "a".repeat(32), key: "owner#o#env#session-manager|one" };
/** Invalid names of blobs, some of which would be paths. */
const strangers = ["", "..", "a/../b", "/etc/passwd", "a//b", "a/", ".a", "a.zip", "A", "a\0", "__proto__"];

/** Conformance tests for the archives of Volumes. */
export function archivesConformance(open: () => Promise<VolumesUnderTest>): void {
  let test: VolumesUnderTest;
  let volume: string;

  beforeEach(async () => {
    test = await open();
    volume = (await test.volumes.createVolume({ token: "t", sizeGb: 1, zone: "z", snapshotId: undefined })).id;
  });
  afterEach(async () => {
    await test.close();
  });

  const ended = async (blob: string): Promise<Archive> => {
    for (let tries = 0; tries < 400; tries += 1) {
      const found = await test.volumes.findArchive(blob);
      if (found && found.state !== "pending") return found;
      await test.pass(20);
    }
    throw new Error(`The archive ${blob} did not end`);
  };

  describe("archives", () => {
    it("are unknown at first, then pending, then completed with their size", async () => {
      const unknown = await test.volumes.findArchive("archives/o/one");

      await test.volumes.startArchive(volume, "archives/o/one", owner);
      const begun = await test.volumes.findArchive("archives/o/one");

      expect([unknown, begun?.state]).toEqual([undefined, "pending"]);
      const { state, bytes } = await ended("archives/o/one");
      expect(state).toBe("completed");
      expect(bytes).toBeGreaterThan(0);
    });

    it("are made once however often they are started, even concurrently", async () => {
      await Promise.all([1, 2, 3].map(() => test.volumes.startArchive(volume, "once", owner)));
      const first = await ended("once");

      await test.volumes.startArchive(volume, "once", owner);

      expect(await test.volumes.findArchive("once")).toEqual(first);
    });

    it("are separate by name and outlive their volume", async () => {
      await test.volumes.startArchive(volume, "one", owner);
      await test.volumes.startArchive(volume, "two", owner);
      await Promise.all([ended("one"), ended("two")]);

      await test.volumes.removeVolume(volume);

      expect(await test.volumes.findArchive("one")).toMatchObject({ state: "completed" });
      expect(await test.volumes.findArchive("three")).toBeUndefined();
    });

    it("stay when ended if they are complete, and are forgotten otherwise, however often", async () => {
      const { volumes } = test;
      await volumes.startArchive(volume, "whole", owner);
      const whole = await ended("whole");
      await volumes.startArchive(volume, "half", owner);

      for (const blob of ["half", "whole", "never", "half", "whole"]) await volumes.endArchive(blob, owner);

      expect(await volumes.findArchive("whole")).toEqual(whole);
      expect(await volumes.findArchive("half")).toBeUndefined();
      expect(await volumes.findArchive("never")).toBeUndefined();
      await volumes.startArchive(volume, "whole", owner);
      expect(await volumes.findArchive("whole")).toEqual(whole);
    });

    it("are refused for a missing volume or an invalid name", async () => {
      for (const id of ["vol-0123456789abcdef", "vol-999", "", "..", "__proto__"]) {
        await expect(test.volumes.startArchive(id, "one", owner), id).rejects.toThrow();
      }
      for (const name of strangers) {
        await expect(test.volumes.startArchive(volume, name, owner), name).rejects.toThrow();
        expect(await test.volumes.findArchive(name), name).toBeUndefined();
      }
      expect(await test.volumes.findArchive("one")).toBeUndefined();
    });
  });
}
