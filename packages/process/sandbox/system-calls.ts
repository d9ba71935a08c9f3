import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomName } from "../files.ts";
import { hasUserNamespace } from "./sandbox-user.ts";

/**
 * Writes the seccomp filter of sandboxes and returns its path. Namespaces do not separate these calls:
 * - keyrings(7) are inherited from the stack's starter, and shared by all processes of a user id;
 * - vsock(7) reaches the host of this virtual machine;
 * - io_uring could open sockets past this filter;
 * - fs.aio-max-nr (proc(5)) is one number per machine, which one run could exhaust;
 * - performance events (perf_event_open(2)) can show the activity of other runs, if the machine allows them to all
 * users;
 * - eBPF programs run in the shared kernel.
 * If no control group counts memory, the filter also refuses or limits memory outside processes (sysvipc(7)). The
 * kernel does not free that when a process ends. The size of /tmp, /dev/shm and /run/screen is bounded elsewhere.
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

export function withRefused(path: string, words: readonly string[]): string[] {
  return ["/bin/sh", "-c", 'exec 9<"$0" && exec "$@"', path, ...words];
}

export const refusing = ["--seccomp", "9"] as const;

/**
 * Call numbers by CPU. `refused`: add_key, request_key, keyctl, io_uring_setup, io_setup (another number on x32),
 * perf_event_open, bpf. `uncounted`: memfd_create, memfd_secret, msgget. 32-bit x86 programs can still open VM sockets
 * by socketcall.
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

/** clone3 takes its flags through a pointer, which seccomp cannot follow. C libraries fall back to clone on ENOSYS. */
const clone3 = 435;
const newUserNamespace = 0x1000_0000;
/** semget, msgget and shmget as calls of ipc(2). */
const olderCalls = [2, 13, 23];
/** Largest segment. At most 4,096 of them (SHMMNI) fill as much as the /tmp of a sandbox. */
const mostSegmentBytes = 256 * 1024;
/** Most semaphores per set. 32,000 sets (SEMMNI) of 64 bytes per semaphore are possible. */
const mostSemaphores = 32;

/** Offsets in struct seccomp_data, and return values of a filter (seccomp(2)). */
const [nr, arch, firstArgument, secondArgument, secondArgumentHigh] = [0, 4, 16, 24, 28];
const allow = 0x7fff_0000;
const refuseWith = (error: number) => 0x0005_0000 + error;
const [notPermitted, noSpace, noSuchCall, noSuchFamily, vsock] = [1, 28, 38, 97, 40];
/** x32 uses the numbers of x86-64 with this bit set. */
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

/** Refuses user namespaces, in which a process would be root. Other sandboxes forbid them there (sandbox-user.ts). */
function noUserNamespace(): Buffer[] {
  return [load(firstArgument), skipUnlessAny(newUserNamespace, 1), answer(refuseWith(notPermitted))];
}

/** Limits System V objects, which outlive their creator and count towards no memory limit. */
function littleShared({ shmget, semget, ipc }: Way): Buffer[] {
  const refusedOlder = olderCalls.flatMap((call) => [skipUnless(call, 1), answer(refuseWith(noSuchCall))]);
  const older = [load(firstArgument), and(0xffff), ...refusedOlder];
  return [
    ...forCall(shmget, noMoreThan(mostSegmentBytes)),
    ...forCall(semget, noMoreThan(mostSemaphores)),
    ...(ipc === null ? [] : forCall(ipc, older)),
  ];
}

function noMoreThan(most: number): Buffer[] {
  const refused = answer(refuseWith(noSpace));
  return [
    ...[load(secondArgumentHigh), skipUnlessAbove(0, 1), refused],
    ...[load(secondArgument), skipUnlessAbove(most, 1), refused],
  ];
}

/** Rules that load an argument lose the call number, so they end with their own verdict. */
function forCall(call: number, rules: readonly Buffer[]): Buffer[] {
  return [skipUnless(call, rules.length + 1), ...rules, answer(allow)];
}

/** Instructions of classic BPF (include/uapi/linux/filter.h of the kernel). */
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
