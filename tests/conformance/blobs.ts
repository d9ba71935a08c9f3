import { describe, expect, it } from "vitest";
import type { Blobs } from "#core/ports/blobs.ts";

const zip = { contentType: "application/zip", fileName: "a-1.zip" };

/** Conformance tests of Blobs. A store without `hasUrls` returns undefined for the address of every blob. */
export function blobsConformance(open: () => Promise<Blobs>, { hasUrls = false } = {}): void {
  describe("keeping", () => {
    it.each([
      ["nothing", new Uint8Array()],
      ["bytes that are no text", Uint8Array.from([0, 255, 10, 195, 40, 0])],
      ["a MiB", new Uint8Array(1024 * 1024).fill(7)],
    ])("returns %s as it was stored", async (_, bytes) => {
      const blobs = await open();

      await blobs.put("logs/a1/2-b", bytes);

      const found = await blobs.get("logs/a1/2-b");
      expect(Buffer.from(found ?? "gone").equals(bytes)).toBe(true);
    });

    it("has the newest value of a name, independently of other names", async () => {
      const blobs = await open();

      await blobs.put("logs/a", Uint8Array.of(1, 1, 1));
      await blobs.put("logs/b", Uint8Array.of(2));
      await blobs.put("logs/a", Uint8Array.of(3));

      expect([...((await blobs.get("logs/a")) ?? [])]).toEqual([3]);
      expect([...((await blobs.get("logs/b")) ?? [])]).toEqual([2]);
    });

    it("reports the size of the latest value of a name, and none for a missing one", async () => {
      const blobs = await open();
      await blobs.put("logs/a", Uint8Array.of(1, 2, 3));
      await blobs.put("logs/a-b", Uint8Array.of(1));
      await blobs.put("logs/c/d", new Uint8Array());

      const first = await Promise.all(["logs/a", "logs/a-b", "logs/c/d"].map((name) => blobs.getSize(name)));
      await blobs.put("logs/a", Uint8Array.of(1));
      const later = await Promise.all(["logs/a", "logs/b", "logs/c", "other"].map((name) => blobs.getSize(name)));

      expect([first, later]).toEqual([
        [3, 1, 0],
        [1, undefined, undefined, undefined],
      ]);
    });

    it("never shows a partial value", async () => {
      const blobs = await open();
      const whole = [new Uint8Array(300_000).fill(1), new Uint8Array(300_000).fill(2)] as const;
      await blobs.put("logs/a", whole[0]);

      // Two writers, because moto may answer 500 to writes of one object by many at once.
      const write = async (value: Uint8Array) => {
        for (let n = 0; n < 10; n++) await blobs.put("logs/a", value);
      };
      let isWriting = true;
      const writes = Promise.all(whole.map(write)).finally(() => {
        isWriting = false;
      });
      const reads: (Uint8Array | undefined)[] = [];
      while (isWriting) reads.push(...(await Promise.all([blobs.get("logs/a"), blobs.get("logs/a")])));
      await writes;

      for (const bytes of reads) {
        expect(bytes?.byteLength).toBe(300_000);
        expect(new Set(bytes).size).toBe(1);
      }
    });
  });

  describe("removing", () => {
    it("removes a value, and may be repeated", async () => {
      const blobs = await open();
      await blobs.put("logs/a", Uint8Array.of(1));

      await blobs.remove("logs/a");
      await blobs.remove("logs/a");

      expect(await blobs.get("logs/a")).toBeUndefined();
    });

    it("of a prefix keeps values under other prefixes, and may be repeated", async () => {
      const blobs = await open();
      const names = ["logs/a/1", "logs/a/2/3", "logs/ab/1", "logs/b"];
      for (const name of names) await blobs.put(name, Uint8Array.of(1));

      await blobs.removeUnder("logs/a");
      await blobs.removeUnder("logs/a");

      const left = await Promise.all(names.map((name) => blobs.get(name)));
      expect(names.filter((_, index) => left[index])).toEqual(["logs/ab/1", "logs/b"]);
    });
  });

  describe("names", () => {
    it.each(["", "/", "a/", "/a", "../a", "a/../b", "a//b", "a/./b", "A", "a.b", "a b", "a\0", "-a", "é"])(
      "refuses %j",
      async (name) => {
        const blobs = await open();

        await expect(blobs.put(name, Uint8Array.of(1))).rejects.toThrow();
        await expect(blobs.get(name)).rejects.toThrow();
        await expect(blobs.getSize(name)).rejects.toThrow();
        await expect(blobs.remove(name)).rejects.toThrow();
        await expect(blobs.removeUnder(name)).rejects.toThrow();
        await expect(blobs.urlToGet(name, zip)).rejects.toThrow();
        await expect(blobs.urlToPut(name)).rejects.toThrow();
      },
    );
  });

  describe("addresses", () => {
    if (!hasUrls) {
      it("are not available", async () => {
        const blobs = await open();

        expect(await blobs.urlToGet("archives/a", zip)).toBeUndefined();
        expect(await blobs.urlToPut("archives/a")).toBeUndefined();
      });
      return;
    }

    it("let their holder read the blob, without a key", async () => {
      const blobs = await open();
      await blobs.put("archives/a", Uint8Array.of(1, 2));

      const answer = await fetch((await blobs.urlToGet("archives/a", zip)) ?? "");

      expect([...(await answer.bytes())]).toEqual([1, 2]);
    });

    it("let their holder write the blob, without a key", async () => {
      const blobs = await open();
      const { url = "", headers = {} } = (await blobs.urlToPut("archives/b")) ?? {};

      const { ok } = await fetch(url, { method: "PUT", headers, body: Uint8Array.of(1, 2) });

      expect(ok).toBe(true);
      expect([...((await blobs.get("archives/b")) ?? [])]).toEqual([1, 2]);
    });
  });
}
