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
/** Of 2,000 who are told something a sixteenth shares the first digit of the uid; twice as many never do. */
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

/** 32 sessions that share it. */
export const node = {
  ...base,
  ...nodeItemKey,
  ...machine,
  kind: "node",
  type,
  zone,
  ready: false,
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

/** 500 machines, each of them somebody's. */
export const makeable = {
  ...base,
  ...makeableKey(type),
  kind: "makeable",
  type,
  granted: [],
  held: many(500, () => held),
} satisfies Written<MakeableLedger>;

/** Saw 2,000 who wait of 200 owners, and offers to 1,000. */
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
  openedAt: at,
  dueShard: "f",
  dueAt: at,
  tally: {
    waits: many(10, () => 1e9),
    waitedSeconds: 1e12,
    ends: Object.fromEntries(many(40, (n) => [`failed:${n}`, 1e9])),
  },
} satisfies Written<Pool>;

/** As many marks as one item may hold. */
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
  room: many(56, () => ({ ...times, machines: 4, units: 32, zone, gaps: many(4, () => [at, at, at] as const) })),
  turns: many(400, () => ({ ...times, position: 2_000, units: 100_000, need: { machines: 4, units: 32 } })),
  owners: Object.fromEntries(many(400, (n) => [formatUid(n), 100_000])),
  machines: many(48, () => [zone, 32, 10_000] as const),
  withoutForeign: { machines: many(48, () => [zone, 32, 10_000] as const), units: 1e6 },
} satisfies QueueSnapshot;

/** What is said of a pool, which is more than what is said to those who wait. */
export const forecast = {
  ...base,
  ...forecastKey(type, null),
  kind: "forecast",
  at,
  later: at,
  standing,
  passing: { until: at, fits: many(56, () => ({ machines: 4, units: 32, zone })) },
  arrivals: many(100, () => [at, uid, zone, 4, 32, size.wantedMs]),
};

export const forecastOfDigit = {
  ...base,
  ...forecastKey(type, "f"),
  kind: "forecast",
  at,
  later: at,
  entries: Object.fromEntries(many(OF_ONE_DIGIT, (n) => [formatUid(n), [at, at, "owners", 2_000, at, at, at, at]])),
};

/** 512 owners, and how long jobs of 64 took. */
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

export const admission = {
  ...base,
  ...admissionKey,
  kind: "admission",
  paused: false,
  drained: poolTypes,
  closures: [null, ...poolTypes].map((type) => ({ type, at, by: "x".repeat(64), reason: "x".repeat(200) })),
} satisfies Written<Admission>;
