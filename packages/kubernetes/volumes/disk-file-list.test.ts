import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { unpacked } from "./disk-file-list.ts";

const packed = (text: string | Buffer) => gzipSync(text).toString("base64");

it("the list of files is read from the termination message, without control characters", () => {
  expect(unpacked(packed(".:\na\u001b[2J\u0085b\tc\n"))).toBe(".:\na?[2J?b?c\n");
});

it.each([
  ["nothing", undefined],
  ["no base64", "%%%"],
  ["no gzip", Buffer.from("text").toString("base64")],
  ["data that unpacks to more than the limit of a list", packed(Buffer.alloc(64 * 1024 * 1024))],
])("%s in place of a list counts as empty", (_, files) => {
  expect(unpacked(files)).toBeUndefined();
});
