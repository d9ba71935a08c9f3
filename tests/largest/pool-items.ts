import type { RunMarks } from "#core/environments/record/run/observation-digest.ts";
import { poolTypes } from "#core/fleet.ts";
import type { Admission } from "#core/pools/admission/admission.ts";
import type { QueueSnapshot } from "#core/pools/forecast/estimate-new-job.ts";
import type { HeldEntry, MakeableLedger, NodeLedger, Pool } from "#core/pools/ledger/record.ts";
import type { UsedItem } from "#core/pools/ledger/usage.ts";
import {
  admissionKey,
  forecastKey,
  keyText,
  makeableKey,
  nodeGoneKey,
  planKey,
  poolKey,
  runMarksKey,
  usedKey,
} from "#core/store/keys.ts";
import {
  at,
  base,
  formatUid,
  homeText,
  machine,
  many,
  nodeItemKey,
  size,
  ttl,
  uid,
  type Written,
  zone,
} from "./parts.ts";

const type = "cpu-shared";
/** Users with one first digit of the uid. Of 2,000 it is a sixteenth on average, and never twice as many. */
const OF_ONE_DIGIT = 250;
const held = {
  key: homeText,
  uid,
  run: 1_000_000,
  grant: uid,
  owner: uid,
  units: 1,
  machines: 1,
  wantedMs: size.wantedMs,
  at,
  unreadableSince: at,
  phase: "preparing",
  endsAt: at,
} satisfies HeldEntry;

/** Node that 32 sessions share. */
export const node = {
  ...base,
  ...nodeItemKey,
  ...machine,
  kind: "node",
  type,
  zone,
  group: "x".repeat(63),
  ready: false,
  unready: "notReady",
  fault: "x".repeat(200),
  gone: true,
  saidAt: at,
  units: 32,
  foreignUnits: 32,
  leftoverUnits: 32,
  since: at,
  asideUntil: at,
  granted: [],
  held: many(32, () => held),
} satisfies Written<NodeLedger>;

/** Machines that do not exist yet: 500, each held. */
export const makeable = {
  ...base,
  ...makeableKey(type),
  kind: "makeable",
  type,
  granted: [],
  held: many(500, () => held),
} satisfies Written<MakeableLedger>;

/** Pool with 2,000 waiting environments of 200 owners, and 1,000 offers. */
export const pool = {
  ...base,
  ...poolKey(type),
  kind: "pool",
  type,
  seen: many(2_000, formatUid),
  offered: Object.fromEntries(many(1_000, (n) => [formatUid(n), [keyText(nodeItemKey)]])),
  reach: { begin: uid, last: uid, cut: Object.fromEntries(many(200, (n) => [formatUid(n), at])) },
  head: { uid, key: homeText },
  summary: {
    total: 1e6,
    free: 1e6,
    mostFree: many(8, () => 8),
    inUse: 1e6,
    waiting: 1e6,
    makeable: 1e6,
    waitingUnits: 1e6,
    granted: 1e6,
    preparing: 1e6,
    active: 1e6,
    stopping: 1e6,
    unreadable: 1e6,
    unreadableItems: 1e6,
    plannedAt: at,
  },
  compared: { item: keyText(nodeItemKey), at },
  advisedAt: at,
  advised: "0123456789abcdef",
  plans: 1e9,
  closed: "drained",
  drained: many(50, () => ({ node: machine.name })),
  plannedDrains: many(50, () => ({ node: machine.name, from: at })),
  openedAt: at,
  dueShard: "f",
  dueAt: at,
  tally: {
    waits: many(10, () => 1e9),
    waitedSeconds: 1e12,
    ends: Object.fromEntries(many(40, (n) => [`failed:${n}`, 1e9])),
  },
} satisfies Written<Pool>;

/** Largest number of marks in one item. */
export const runMarks = {
  ...base,
  ...runMarksKey("0"),
  kind: "run-marks",
  at,
  marks: Object.fromEntries(many(2_000, (n) => [`${n.toString(16).padStart(16, "f")}.1000000`, uid.slice(0, 12)])),
} satisfies Written<RunMarks>;

export const nodeGone = { ...base, ...nodeGoneKey(machine.uid), kind: "node-gone", node: machine.name, at, ttl };

export const plan = {
  ...base,
  ...planKey(type, "f"),
  kind: "plan",
  at,
  complete: false,
  closings: Object.fromEntries(many(100, (n) => [`${at}${n}`, `${machine.name} is drained at 2026-01-20 18:30 UTC`])),
  entries: Object.fromEntries(
    many(OF_ONE_DIGIT, (n) => [formatUid(n), [2_000, at, "unreadable", 1_000_000, 1_000_000]]),
  ),
};

const times = { p50: at, p90: at };
const standing = {
  at,
  later: at,
  closed: "unreadable",
  freeUnits: 1e6,
  waiting: 2_000,
  room: many(104, () => ({ ...times, machines: 8, units: 32, zone, gaps: many(4, () => [at, at, at] as const) })),
  turns: many(400, () => ({ ...times, position: 2_000, units: 100_000, need: { machines: 8, units: 32 } })),
  owners: Object.fromEntries(many(400, (n) => [formatUid(n), 100_000])),
  machines: many(48, () => [zone, 32, 10_000] as const),
  withoutForeign: { machines: many(48, () => [zone, 32, 10_000] as const), units: 1e6 },
  closing: many(4, () => ({
    at,
    text: `${many(3, () => machine.name).join(" and ")} and 47 more are drained at 2026-01-20 18:30 UTC`,
    machines: many(48, () => [zone, 32, 10_000] as const),
  })),
} satisfies QueueSnapshot;

/** Forecast of a pool, which is larger than that of a waiting environment. */
export const forecast = {
  ...base,
  ...forecastKey(type, null),
  kind: "forecast",
  at,
  later: at,
  standing,
  passing: { until: at, fits: many(104, () => ({ machines: 8, units: 32, zone })) },
  arrivals: many(100, () => [at, uid, zone, 8, 32, size.wantedMs]),
};

export const forecastOfDigit = {
  ...base,
  ...forecastKey(type, "f"),
  kind: "forecast",
  at,
  later: at,
  entries: Object.fromEntries(many(OF_ONE_DIGIT, (n) => [formatUid(n), [at, at, "owners", 2_000, at, at, at, at]])),
};

/** Usage of 512 owners, and job durations of 64. */
export const used = {
  ...base,
  ...usedKey(type, "f"),
  kind: "used",
  at,
  owners: Object.fromEntries(many(512, (n) => [formatUid(n), 1_234.123_456_789])),
  runs: {
    all: many(21, () => 19),
    overMs: 3_600_000,
    owners: Object.fromEntries(many(64, (n) => [formatUid(n), many(21, () => 19)])),
  },
} satisfies Written<UsedItem>;

const drained = { type: "cpu-shared", node: machine.name, at, by: "x".repeat(64), reason: "x".repeat(200) };

export const admission = {
  ...base,
  ...admissionKey,
  kind: "admission",
  paused: false,
  drained: poolTypes,
  closures: [null, ...poolTypes].map((type) => ({ type, at, by: "x".repeat(64), reason: "x".repeat(200) })),
  parts: many(25, () => drained),
  planned: many(25, () => ({ ...drained, from: at })),
} satisfies Written<Admission>;
