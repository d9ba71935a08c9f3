import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomName } from "./random-name.ts";

/**
 * Writes what sandboxes refuse for bubblewrap, and answers where. No namespace keeps these apart: keys (keyrings(7)) are
 * inherited from whoever started the stack, and shared by all that have an id; VM sockets (vsock(7)) reach the machine
 * that this one is a guest of. Whoever has io_uring opens sockets past this.
 */
export function refusedCalls(home: string): string {
  const directory = join(home, "sandbox");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "refused-calls");
  const text = program();
  if (existsSync(path) && readFileSync(path).equals(text)) return path;
  const draft = `${path}-${randomName()}`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
  return path;
}

/** The words that hand such a file to a bubblewrap among these. */
export function withRefused(path: string, words: readonly string[]): string[] {
  return ["/bin/sh", "-c", 'exec 9<"$0" && exec "$@"', path, ...words];
}

/** What that bubblewrap is to be told. */
export const refusing = ["--seccomp", "9"] as const;

/**
 * By their numbers for each way in which a program of this machine may call: add_key, request_key, keyctl,
 * io_uring_setup, and socket. A 32-bit program of x86 may still open VM sockets by socketcall.
 */
const ways = [
  { arch: 0xc000003e, refused: [248, 249, 250, 425], socket: 41 },
  { arch: 0x40000003, refused: [286, 287, 288, 425], socket: 359 },
  { arch: 0xc00000b7, refused: [217, 218, 219, 425], socket: 198 },
  { arch: 0x40000028, refused: [309, 310, 311, 425], socket: 281 },
] as const;

/** Of struct seccomp_data (seccomp(2)), and what a filter answers. */
const [nr, arch, firstArgument] = [0, 4, 16];
const allow = 0x7fff_0000;
const refuseWith = (error: number) => 0x0005_0000 + error;
const [noSuchCall, noSuchFamily, vsock] = [38, 97, 40];
/** The x32 way has the numbers of x86-64 with this bit. */
const withoutX32 = 0xbfff_ffff;

function program(): Buffer {
  return Buffer.concat([...ways.flatMap(refusedBy), answer(allow)]);
}

function refusedBy({ arch: own, refused, socket }: (typeof ways)[number]): Buffer[] {
  const rules = [
    ...[load(nr), and(withoutX32)],
    ...refused.flatMap((call) => [skipUnless(call, 1), answer(refuseWith(noSuchCall))]),
    ...[skipUnless(socket, 3), load(firstArgument), skipUnless(vsock, 1), answer(refuseWith(noSuchFamily))],
    answer(allow),
  ];
  return [load(arch), skipUnless(own, rules.length), ...rules];
}

/** Instructions as the kernel's include/uapi/linux/filter.h has them. */
const load = (offset: number) => instruction(0x20, 0, offset);
const and = (mask: number) => instruction(0x54, 0, mask);
const skipUnless = (value: number, count: number) => instruction(0x15, count, value);
function answer(value: number): Buffer {
  return instruction(0x06, 0, value);
}

function instruction(code: number, skippedIfFalse: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(skippedIfFalse, 3);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
