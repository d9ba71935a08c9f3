import { lstatSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { text, u32, u64 } from "./packets.ts";
import { sftpSession } from "./requests.ts";

let directory: string;
let ask: (type: number, ...parts: Buffer[]) => Buffer;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-sftp-"));
  const answer = sftpSession();
  ask = (type, ...parts) => answer(Buffer.concat([Buffer.from([type]), u32(1), ...parts])).subarray(4);
});
afterEach(() => rmSync(directory, { recursive: true }));

const EXTENDED = 200;
const STATUS = 101;
const path = (name: string) => join(directory, name);
const extended = (name: string, ...parts: Buffer[]) => ask(EXTENDED, text(name), ...parts);
const statusIn = (reply: Buffer) => (reply[0] === STATUS ? reply.readUInt32BE(5) : undefined);
const READ_WRITE_CREATE = 1 | 2 | 8;
const open = (name: string) => {
  return ask(3, text(path(name)), u32(READ_WRITE_CREATE), u32(0)).subarray(5);
};

it("changes the times of a link but not of its target, and no mode of a link", () => {
  writeFileSync(path("file"), "");
  symlinkSync("file", path("link"));
  const [TIMES, MODE] = [8, 4];

  const answers = [
    extended("lsetstat@openssh.com", text(path("link")), u32(TIMES), u32(1_000), u32(2_000)),
    extended("lsetstat@openssh.com", text(path("link")), u32(MODE), u32(0o600)),
    extended("lsetstat@openssh.com", text(path("file")), u32(MODE), u32(0o600)),
  ].map(statusIn);

  expect(answers).toEqual([0, 4, 0]);
  expect(lstatSync(path("link")).mtimeMs).toBe(2_000_000);
  expect(statSync(path("link")).mtimeMs).not.toBe(2_000_000);
  expect(statSync(path("file")).mode & 0o777).toBe(0o600);
});

it.each([
  ["all of a file", 0, 0, 0, "0123456789"],
  ["a part of it", 2, 3, 0, "234"],
  ["more than there is", 8, 100, 0, "89"],
  ["to behind the beginning", 5, 0, 2, "\0\x0056789"],
  ["from behind the end", 100, 0, 0, ""],
])("copies %s", (_, at, length, to, expected) => {
  writeFileSync(path("from"), "0123456789");

  const reply = extended("copy-data", open("from"), u64(BigInt(at)), u64(BigInt(length)), open("to"), u64(BigInt(to)));

  expect([statusIn(reply), readFileSync(path("to"), "latin1")]).toEqual([0, expected]);
});

it("reports the limits of packets, reads and writes, and free space by handle and by path", () => {
  const limits = extended("limits@openssh.com").subarray(5);
  const [byPath, byHandle] = [
    extended("statvfs@openssh.com", text(directory)),
    extended("fstatvfs@openssh.com", open("file")),
  ];

  expect([0, 8, 16, 24].map((at) => Number(limits.readBigUInt64BE(at)))).toEqual([262_144, 261_120, 261_120, 256]);
  // Compare only block sizes and the number of blocks, because free space changes.
  expect(byHandle.subarray(0, 29)).toEqual(byPath.subarray(0, 29));
});

it("names root and its group, and leaves unknown ids without a name", () => {
  const ids = Buffer.concat([u32(0), u32(4_000_000_000)]);

  const reply = extended("users-groups-by-id@openssh.com", text(ids), text(ids));

  const names = text(Buffer.concat([text("root"), text("")]));
  expect(reply.subarray(5)).toEqual(Buffer.concat([names, names]));
});

it("refuses impossible requests, and goes on", () => {
  writeFileSync(path("there"), "");
  const handle = open("file");
  const refusals = [
    extended("constructor"),
    extended("copy-data", handle, u64(0n), u64(0n), handle, u64(0n)),
    extended("copy-data", handle, u64(0n)),
    extended("users-groups-by-id@openssh.com", text("odd"), text("")),
    extended("hardlink@openssh.com", text(path("file")), text(path("there"))),
    extended("fsync@openssh.com", text("999")),
    extended("expand-path@openssh.com", text("~no-such-user/x")),
    extended("home-directory", text("no-such-user")),
  ];

  expect(refusals.map(statusIn)).toEqual([8, 4, 5, 5, 4, 4, 2, 2]);
  expect(statusIn(extended("fsync@openssh.com", handle))).toBe(0);
});
