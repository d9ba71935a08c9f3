import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomName } from "../runs/random-name.ts";
import { hasUserNamespace } from "./sandbox-user.ts";

/**
 * Writes what sandboxes refuse for bubblewrap, and answers where. No namespace keeps these apart: keys (keyrings(7))
 * are inherited from whoever started the stack, and shared by all that have an id; VM sockets (vsock(7)) reach the
 * machine that this one is a guest of. Whoever has io_uring opens sockets past this. A machine has one number of
 * asynchronous reads (fs.aio-max-nr in proc(5)), which one run could take all of; with performance events, where a
 * machine lets everybody have those (perf_event_open(2)), a run sees what the others do; and eBPF is nothing for
 * strangers. Where no control group counts the memory of a run, it gets none but what its processes may have, and that
 * of its /tmp, /dev/shm and (a megabyte) /run/screen: messages and sets of semaphores (sysvipc(7)) are the kernel's own
 * memory, which no end of a process frees.
 */
export function refusedCalls(home: string, { isCounted }: { readonly isCounted: boolean }): string {
  const directory = join(home, "sandbox");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, isCounted ? "refused-calls" : "refused-calls-uncounted");
  const text = program(isCounted);
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
 * By their numbers for each way in which a program of this machine may call. Refused are add_key, request_key, keyctl,
 * io_uring_setup, io_setup (x32 has a number of its own), perf_event_open and bpf, and where memory is not counted
 * memfd_create, memfd_secret and msgget; of the others it depends on what they are given. A 32-bit program of x86 may still
 * open VM sockets by socketcall.
 */
const ways = [
  {
    arch: 0xc000003e,
    refused: [248, 249, 250, 425, 206, 543, 298, 321],
    uncounted: [319, 447, 68],
    socket: 41,
    clone: 56,
    unshare: 272,
    shmget: 29,
    semget: 64,
    ipc: null,
  },
  {
    arch: 0x40000003,
    refused: [286, 287, 288, 425, 245, 336, 357],
    uncounted: [356, 447, 399],
    socket: 359,
    clone: 120,
    unshare: 310,
    shmget: 395,
    semget: 393,
    ipc: 117,
  },
  {
    arch: 0xc00000b7,
    refused: [217, 218, 219, 425, 0, 241, 280],
    uncounted: [279, 447, 186],
    socket: 198,
    clone: 220,
    unshare: 97,
    shmget: 194,
    semget: 190,
    ipc: null,
  },
  {
    arch: 0x40000028,
    refused: [309, 310, 311, 425, 243, 364, 386],
    uncounted: [385, 447, 303],
    socket: 281,
    clone: 120,
    unshare: 337,
    shmget: 307,
    semget: 299,
    ipc: 117,
  },
] as const;

type Way = (typeof ways)[number];

/** What it is given to make is behind a pointer, which no filter follows; C libraries then go on with clone. */
const clone3 = 435;
/** Of clone(2) and unshare(2). */
const newUserNamespace = 0x1000_0000;
/** Of ipc(2): its semget, msgget and shmget. */
const olderCalls = [2, 13, 23];
/** A sandbox has 4,096 segments (SHMMNI): of this size they are as much as its /tmp. */
const mostSegmentBytes = 256 * 1024;
/** In one set, of 32,000 (SEMMNI): each takes 64 bytes. Who uses them as locks needs few. */
const mostSemaphores = 32;

/** Of struct seccomp_data (seccomp(2)), and what a filter answers. */
const [nr, arch, firstArgument, secondArgument, secondArgumentHigh] = [0, 4, 16, 24, 28];
const allow = 0x7fff_0000;
const refuseWith = (error: number) => 0x0005_0000 + error;
const [notPermitted, noSpace, noSuchCall, noSuchFamily, vsock] = [1, 28, 38, 97, 40];
/** The x32 way has the numbers of x86-64 with this bit. */
const withoutX32 = 0xbfff_ffff;

function program(isCounted: boolean): Buffer {
  return Buffer.concat([...ways.flatMap((way) => refusedBy(way, isCounted)), answer(allow)]);
}

function refusedBy(way: Way, isCounted: boolean): Buffer[] {
  const always = [...way.refused, ...(isCounted ? [] : way.uncounted), ...(hasUserNamespace ? [] : [clone3])];
  const rules = [
    ...[load(nr), and(withoutX32)],
    ...always.flatMap((call) => [skipUnless(call, 1), answer(refuseWith(noSuchCall))]),
    ...forCall(way.socket, [load(firstArgument), skipUnless(vsock, 1), answer(refuseWith(noSuchFamily))]),
    ...(hasUserNamespace ? [] : [way.clone, way.unshare].flatMap((call) => forCall(call, noUserNamespace()))),
    ...(isCounted ? [] : littleShared(way)),
    answer(allow),
  ];
  return [load(arch), skipUnless(way.arch, rules.length), ...rules];
}

/** Whoever has one to itself is root there; where a sandbox has one, that lets it have no more (sandbox-user.ts). */
function noUserNamespace(): Buffer[] {
  return [load(firstArgument), skipUnlessAny(newUserNamespace, 1), answer(refuseWith(notPermitted))];
}

/** What outlives whoever made it, and is counted for nobody. */
function littleShared({ shmget, semget, ipc }: Way): Buffer[] {
  const refusedOlder = olderCalls.flatMap((call) => [skipUnless(call, 1), answer(refuseWith(noSuchCall))]);
  const older = [load(firstArgument), and(0xffff), ...refusedOlder];
  return [
    ...forCall(shmget, noMoreThan(mostSegmentBytes)),
    ...forCall(semget, noMoreThan(mostSemaphores)),
    ...(ipc === null ? [] : forCall(ipc, older)),
  ];
}

/** Of the second argument. */
function noMoreThan(most: number): Buffer[] {
  const refused = answer(refuseWith(noSpace));
  return [
    ...[load(secondArgumentHigh), skipUnlessAbove(0, 1), refused],
    ...[load(secondArgument), skipUnlessAbove(most, 1), refused],
  ];
}

/** What looks at an argument no longer knows the number of the call. */
function forCall(call: number, rules: readonly Buffer[]): Buffer[] {
  return [skipUnless(call, rules.length + 1), ...rules, answer(allow)];
}

/** Instructions as the kernel's include/uapi/linux/filter.h has them. */
const load = (offset: number) => instruction(0x20, 0, offset);
const and = (mask: number) => instruction(0x54, 0, mask);
const skipUnless = (value: number, count: number) => instruction(0x15, count, value);
const skipUnlessAbove = (value: number, count: number) => instruction(0x25, count, value);
const skipUnlessAny = (bits: number, count: number) => instruction(0x45, count, bits);
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
