import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { memoryBlobs } from "#testing/memory-blobs.ts";
import { listedOf, passListing, unpacked } from "./listing.ts";

const packed = (text: string | Buffer) => gzipSync(text).toString("base64");

it("a list is read from the last words, and shows nothing that moves a terminal's cursor", () => {
  expect(unpacked(packed(".:\na\u001b[2J\u0085b\tc\n"))).toBe(".:\na?[2J?b?c\n");
});

it.each([
  ["nothing", undefined],
  ["no base64", "%%%"],
  ["no gzip", Buffer.from("text").toString("base64")],
  ["what unpacks to more than a list has", packed(Buffer.alloc(64 * 1024 * 1024))],
])("%s in its place lists nothing", (_, files) => {
  expect(unpacked(files)).toBeUndefined();
});

it("a backup has the list of its own run alone, at every attempt", async () => {
  const blobs = memoryBlobs();
  const claim = `volume-${"a".repeat(40)}`;
  const run = `${"1".repeat(32)}-r2`;
  await blobs.put(listedOf(claim), new TextEncoder().encode(`${run}\n.:\nfile\n`));
  const passed = async (attempt: string, snapshot: string) => {
    await passListing(blobs, { claim, attempt, snapshot });
    return blobs
      .get(`listings/${snapshot.replace(".", "-")}`)
      .then((bytes) => bytes && new TextDecoder().decode(bytes));
  };

  expect(await passed(`${run}-1`, "backup-a.1")).toBe(".:\nfile\n");
  expect(await passed(`${run}-2`, "backup-b.1")).toBe(".:\nfile\n");
  expect(await passed(`${run}2-1`, "backup-c.1")).toBeUndefined();
});
