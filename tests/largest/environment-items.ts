import type { SshEntry } from "#core/environments/access/ssh-entry.ts";
import type { StoredArchive } from "#core/environments/record/disk/archives.ts";
import type { Environment, EnvironmentSpec } from "#core/environments/record/record.ts";
import type { TimelineEntry } from "#core/environments/record/timeline.ts";
import { MOST_MACHINES } from "#core/fleet.ts";
import { accessKey, archivesPartition, endedKey, hostKey, specKey, sshLoginKey } from "#core/store/keys.ts";
import {
  at,
  base,
  hash,
  home,
  homeText,
  id,
  machine,
  many,
  nodeItemKey,
  reason,
  sealed,
  size,
  ttl,
  uid,
  type Written,
  zone,
} from "./parts.ts";

/** Address of a receiver. */
export const receiver = sealed(2_048);
export const entry = (n: number): TimelineEntry => ({
  n: n + 1_000_000,
  at,
  phase: "preparing",
  step: "container",
  reason,
});
const line = "€".repeat(128);
const file = `workspace-${id}-20991231-235959.zip`;
const blob = `archives/${uid}/${file}`;

/** Environment with 40 entries, 21 requests, 50 guests, 40 volumes that may exist, and 40 ledger items. */
export const environment = {
  ...base,
  ...home,
  kind: "environment",
  uid,
  owner: uid,
  id,
  createdBy: "session-manager",
  name: line,
  labels: Object.fromEntries(many(12, (n) => [`label-${n}`, line])),
  goal: { desired: "stopped", start: { size, receiver }, startedBy: uid },
  phase: "preparing",
  step: "container",
  reason,
  hasCommand: true,
  about: { image: "i".repeat(512), envNames: many(64, (n) => `${n}`.padStart(64, "N")) },
  spec: `${uid}${uid}`,
  starts: 1_000_000,
  end: {
    outcome: { phase: "completed", reason, at, isLimit: true, exitCode: 255 },
    archive: { blob, file, named: true, startedAt: at, silent: machine, settled: false },
    backup: { attempt: 3, tried: 100, since: at, until: at, refused: reason },
    at,
    stoppingAt: at,
    waitsFor: reason,
    alarmedAt: at,
    cleanSince: at,
    cleanLooks: 1_000,
  },
  run: {
    n: 1_000_000,
    resized: { cpus: 192, memoryMb: 2_097_152 },
    resizing: { tries: 4, nextAt: at },
    error: reason,
    preparingAt: at,
    startedAt: at,
    leftoversAt: at,
    applyingAt: at,
    appliedAt: at,
    removedAt: at,
    released: 1_000_000,
    noStartSince: at,
    missedAt: at,
    going: true,
    withdrawing: true,
    lacksVolume: true,
    refusedForNow: true,
    lacks: "addresses",
    isolation: reason,
    limits: reason,
    grant: {
      id: uid,
      shares: many(MOST_MACHINES, () => ({ node: machine.name, units: 8 })),
      at,
      avoids: many(50, () => ({ node: machine.name })),
    },
    machines: many(MOST_MACHINES, () => ({ ...machine, silent: { how: "notReady" as const, since: at } })),
    address: { ip: "255.255.255.255", port: 65_535, hostKey: `ssh-rsa ${"x".repeat(2_732)}`, problem: reason },
    ports: many(20, () => ({ port: 65_535, kind: "jupyter" as const, address: `http://${line}:65535`, answers: true })),
  },
  size,
  zone,
  addressLabel: "x".repeat(63),
  resources: { cpus: 192, memoryMb: 2_097_152 },
  policy: {
    time: "creation",
    restarts: true,
    archives: "workspace",
    readyWithinMs: at,
    firstFailure: "clears",
    idle: { afterMs: at, everyMs: at },
    forgetsSpec: true,
    onInterruption: "requeue",
    leastMs: at,
    ownGraceSeconds: 300,
  },
  ports: many(20, () => ({ port: 65_535, kind: "jupyter" as const })),
  disk: { uid, name: "d".repeat(64), leased: true, attached: true, released: false },
  volumes: many(2, () => ({
    name: "workspace",
    path: "/home/dev8/workspace",
    sizeGb: 10_000,
    volume: { id: "vol-0123456789abcdef0", zone },
  })),
  making: many(40, () => ({
    kind: "volume" as const,
    token: hash,
    zone,
    sizeGb: 10_000,
    from: "snap-0123456789abcdef0",
    at,
  })),
  times: { firstActiveAt: at, endsAt: at, warnedMinutes: 15 },
  events: { receiver: { always: receiver, run: receiver }, timeline: many(40, entry), count: 2e6, emitted: 1e6 },
  use: {
    lastUsedAt: at,
    busyUntil: at,
    idle: { verdict: "keep", signal: "unknown sessions", since: at, at, dryRun: true },
    gpus: { since: at, at, warnedAt: at },
  },
  createdAt: at,
  queuedAt: at,
  unseen: { ms: at, runMs: at, since: at, machine: machine.name },
  looks: 1e6,
  attempts: 1e6,
  fault: reason,
  dueShard: "f",
  dueAt: at,
  ttl,
  placement: {
    withdrawn: { run: 1_000_000, nodes: many(2, () => machine.name), at, lacksMachine: true, lacks: "addresses", zone },
    withdrawals: 2,
    refusals: { count: 1_000, until: at },
    ledgers: many(40, () => `${nodeItemKey.pk}|${nodeItemKey.sk}`),
  },
  access: {
    guests: many(50, () => ({
      name: "g".repeat(39),
      state: "fetched" as const,
      known: true,
      asked: true as const,
      tries: 5,
      nextAt: at,
    })),
    login: "x".repeat(63),
    keyed: true,
    revision: 1e6,
    applied: { run: 1e6, revision: 1e6 },
    jupyter: { token: sealed(64), origin: `http://${line}:65535` },
    jupyterFault: "r".repeat(120),
    guestFault: { name: "g".repeat(39), reason: "r".repeat(120) },
    refused: { run: 1e6, request: 1e6, tries: 1e6, nextAt: at },
  },
  requests: {
    count: 1_000_000,
    list: many(21, (n) => ({
      id: 1e6 + n,
      kind: "disable_jupyter" as const,
      writer: uid,
      subject: "g".repeat(39),
      extraMs: at,
      status: "failed" as const,
      reason,
      requestedAt: at,
      completedAt: at,
    })),
  },
  log: { blob: `logs/${uid}/${hash}`, hash, cut: true, at, failed: true, lastOf: 1_000_000 },
  logWantedUntil: at,
} satisfies Written<Environment>;

/** Spec with a command of 16 KiB that JSON escapes with six letters each, 32 KiB of variables, 10 keys of 4 KiB. */
export const spec = {
  ...base,
  ...specKey(home, `${uid}${uid}`),
  kind: "spec",
  uid,
  image: "€".repeat(512),
  sealed: sealed(JSON.stringify({ command: "\u0001".repeat(16_384) }).length + 32_768 + 10 * 4_100 + 3 * (4_096 + 256)),
  head: homeText,
  dueShard: "f",
  dueAt: at,
} satisfies Written<EnvironmentSpec>;

/** Access with 128 KiB of keys. */
export const access = {
  ...base,
  ...accessKey(home, uid),
  kind: "access",
  uid,
  guests: { guest: ["k".repeat(128 * 1024 - 14)] },
};

/** Entry of a gateway with 300 KiB of keys. */
export const sshEntry = {
  ...base,
  ...sshLoginKey("l".repeat(36), uid),
  kind: "ssh-entry",
  uid,
  key: homeText,
  run: 999_999,
  revision: at,
  keys: ["k".repeat(300 * 1024 - 3)],
  ttl,
} satisfies Written<SshEntry>;

export const ended = { ...base, ...endedKey(uid, "session-manager", at, uid), kind: "ended", head: id, uid, ttl };

export const archive = {
  ...base,
  pk: archivesPartition(uid),
  sk: file,
  kind: "archive",
  uid,
  environment: id,
  blob,
  state: "completed",
  bytes: at,
  at,
} satisfies Written<StoredArchive>;

export const host = { ...base, ...hostKey("x".repeat(63)), kind: "host", uid, key: homeText, at };
