import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text, u32, u64 } from "#process/sftp/packets.ts";
import { toolsPath } from "../../scripts/images/tools-programs.ts";
import { askAll, expected, listed, type Sftp, talk } from "../conformance/openssh/sftp-extensions.ts";

const program = join(await toolsPath(process.env), "sftp-server");
const [OPEN, CLOSE, WRITE, STATUS, EXTENDED] = [3, 4, 6, 101, 200];
const [READ, APPEND] = [1, 2 | 4];

let directory: string;
let server: Sftp;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "berth-sftp-"));
  server = await talk(spawn(program, { cwd: directory, env: { HOME: directory } }));
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

const path = (name: string) => join(directory, name);
const open = async (name: string, flags: number) =>
  (await server.ask(OPEN, text(name), u32(flags), u32(0))).subarray(5);
const extended = async (name: string, ...parts: Buffer[]) =>
  getStatus(await server.ask(EXTENDED, text(name), ...parts));
const getStatus = (reply: Buffer) => (reply[0] === STATUS ? reply.readUInt32BE(5) : undefined);

describe("the SFTP server of the tools image", () => {
  it("announces and answers each extension of docs/ssh.md, and refuses others", async () => {
    expect(server.announced).toEqual(listed);
    expect(await askAll(server)).toEqual(expected);
  });

  it.each([
    ["all of a file", 0, 0, 0, "0123456789"],
    ["a part of it", 2, 3, 0, "234"],
    ["more than there is", 8, 100, 0, "89"],
    ["to behind the beginning", 5, 0, 2, "\0\x0056789"],
    ["from behind the end", 100, 0, 0, ""],
  ])("copies %s", async (_, at, length, to, copied) => {
    writeFileSync(path("from"), "0123456789");
    const [source, target] = [await open("from", READ), await open("to", 2 | 8)];

    const status = await extended("copy-data", source, u64(BigInt(at)), u64(BigInt(length)), target, u64(BigInt(to)));

    expect([status, readFileSync(path("to"), "latin1")]).toEqual([0, copied]);
  });

  it("copies what was written before, and appends to a file that is open for it", async () => {
    writeFileSync(path("to"), "old ");
    const [source, target] = [await open("from", 1 | 2 | 8), await open("to", APPEND)];
    await server.ask(WRITE, source, u64(0n), text("new"));

    const status = await extended("copy-data", source, u64(0n), u64(0n), target, u64(0n));

    expect([status, readFileSync(path("to"), "utf8")]).toEqual([0, "old new"]);
  });

  it("changes the mode of a file, and neither that of a link nor that of its target", async () => {
    writeFileSync(path("file"), "", { mode: 0o644 });
    symlinkSync("file", path("link"));
    symlinkSync("nothing", path("dangling"));
    const change = (name: string, mode: number) => extended("lsetstat@openssh.com", text(name), u32(4), u32(mode));

    const answers = [await change("link", 0o600), await change("dangling", 0o600), await change("nothing", 0o600)];
    const unchanged = statSync(path("file")).mode & 0o777;

    expect([answers, unchanged.toString(8)]).toEqual([[4, 4, 2], "644"]);
    expect([await change("file", 0o4750), (statSync(path("file")).mode & 0o7777).toString(8)]).toEqual([0, "4750"]);
  });

  it("refuses impossible requests, and goes on", async () => {
    writeFileSync(path("there"), "");
    const [handle, closed] = [await open("there", READ), await open("there", READ)];
    await server.ask(CLOSE, closed);
    const refusals = [
      await extended("copy-data", handle, u64(0n), u64(0n), handle, u64(0n)),
      await extended("copy-data", handle, u64(0n)),
      await extended("users-groups-by-id@openssh.com", text("odd"), text("")),
      await extended("fsync@openssh.com", text("999")),
      await extended("fsync@openssh.com", closed),
      await extended("lsetstat@openssh.com", text("nothing"), u32(8), u32(1), u32(2)),
      await extended("expand-path@openssh.com", text("~no-such-user/x")),
      await extended("home-directory", text("no-such-user")),
    ];

    expect(refusals).toEqual([4, 5, 5, 4, 4, 2, 2, 2]);
    expect(await extended("lsetstat@openssh.com", text("there"), u32(8), u32(1_000), u32(2_000))).toBe(0);
    expect(statSync(path("there")).mtimeMs).toBe(2_000_000);
  });
});
