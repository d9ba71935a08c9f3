import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { packet, text, u32, u64 } from "./packets.ts";

const program = fileURLToPath(new URL("./server.ts", import.meta.url));
const content = Buffer.alloc(300_000, "content");

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-sftp-"));
  writeFileSync(join(directory, "file"), content);
});
afterEach(() => rmSync(directory, { recursive: true }));

async function answersTo(parts: readonly Buffer[]): Promise<Buffer> {
  const server = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "inherit"] });
  const answers = server.stdout.toArray();
  for (const part of parts) await new Promise((resolve) => server.stdin.write(part, resolve));
  server.stdin.end();
  return Buffer.concat(await answers);
}

it("gives the same answers to requests at once, byte by byte, and split within a length", async () => {
  const open = packet(3, u32(1), text(join(directory, "file")), u32(1 | 2), u32(0));
  const write = packet(6, u32(2), text("1"), u64(0n), text("CONTENT".repeat(30_000)));
  const bytes = packet(5, u32(3), text("1"), u64(0n), u32(250_000));
  const requests = Buffer.concat([packet(1, u32(3)), open, write, bytes]);
  const border = requests.length - bytes.length;
  const head = [...requests.subarray(0, 60)].map((byte) => Buffer.from([byte]));
  const rest = [requests.subarray(60, border + 2), requests.subarray(border + 2, border + 7)];

  const whole = await answersTo([requests]);
  const parted = await answersTo([...head, ...rest, requests.subarray(border + 7)]);

  expect(parted.equals(whole)).toBe(true);
  const data = text(Buffer.concat([Buffer.from("CONTENT".repeat(30_000)), content.subarray(210_000, 250_000)]));
  expect(whole.subarray(-data.length).equals(data)).toBe(true);
});
