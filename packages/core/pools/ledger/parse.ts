import { unreadies } from "../../ports/compute.ts";
import { lackKinds } from "../../ports/machine-groups.ts";
import type { Item } from "../../ports/table.ts";
import { makeableKey, nodeIdentity, poolKey } from "../../store/keys.ts";
import {
  count,
  flag,
  list,
  literal,
  mapping,
  mark,
  number,
  optional,
  ordinal,
  orNull,
  shape,
  type Table,
  text,
  uid,
} from "../../store/shape.ts";
import { type Agreements, createParser } from "../../store/unreadable.ts";
import { isInterruption } from "../capacity/interruption.ts";
import { isPlannedPart, isPoolPart } from "../capacity/pool-parts.ts";
import { closures } from "../plan/plan.ts";
import type {
  Entry,
  GroupGrowth,
  HeldEntry,
  LedgerItem,
  MakeableLedger,
  NodeLedger,
  Pool,
  PoolGroup,
  PoolNode,
  PoolSummary,
  Shortage,
} from "./record.ts";
import { type Tally, waitBounds } from "./run-outcomes.ts";
import type { Round, ScanWindow } from "./waiting-list.ts";

const entry: Table<Entry> = {
  key: text,
  uid,
  run: ordinal,
  grant: text,
  owner: text,
  units: ordinal,
  machines: ordinal,
  items: optional(list(text)),
  zone: optional(text),
  group: optional(text),
  wantedMs: number,
  at: number,
  unreadableSince: optional(number),
};

const entries: Table<Pick<LedgerItem, "type" | "granted" | "held">> = {
  type: text,
  granted: list(shape(entry)),
  held: list(shape<HeldEntry>({ ...entry, phase: literal("preparing", "active", "stopping"), endsAt: orNull(number) })),
};

const node: Table<PoolNode> = {
  name: text,
  uid: text,
  providerId: orNull(text),
  zone: text,
  group: optional(text),
  ready: flag,
  unready: optional(literal(...unreadies)),
  fault: optional(text),
  interruption: optional(isInterruption),
  units: count,
  foreignUnits: count,
  leftoverUnits: count,
  gone: mark,
  saidAt: optional(number),
};

const namesAll = ({ machines, items }: Entry) => (items?.length ?? 1) === machines;
const allNamed: Agreements<LedgerItem> = {
  "an entry does not name all its machines": ({ granted, held }) => granted.every(namesAll) && held.every(namesAll),
};

/** Parses the ledger item of a node. Throws `Unreadable` for anything that this version did not write. */
export const parseNodeLedger: (item: Item) => NodeLedger = createParser(
  "node",
  { ...entries, ...node, since: number, asideUntil: optional(number), images: optional(list(text)) },
  {
    "its key does not match its fields": ({ pk, sk, type, name, uid: nodeUid }) =>
      pk.startsWith(`pool#${type}#`) && sk === nodeIdentity({ name, uid: nodeUid }),
    ...allNamed,
  },
);

const lack = literal(...lackKinds);

const shortage = shape<Shortage>({
  count: ordinal,
  failedAt: number,
  until: number,
  lacks: optional(lack),
  hasMoved: mark,
});

/** Parses the ledger item of the machines still to be created. Throws `Unreadable`. */
export const parseMakeable: (item: Item) => MakeableLedger = createParser(
  "makeable",
  {
    ...entries,
    group: optional(
      shape<PoolGroup>({
        mostNodes: count,
        startupMs: number,
        zones: list(text),
        members: optional(
          list(
            shape<GroupGrowth>({
              name: text,
              nodes: count,
              mostNodes: optional(count),
              zones: list(text),
              isSelectable: mark,
              startsAt: optional(number),
            }),
          ),
        ),
        lacks: optional(lack),
        zoneLacks: optional(mapping(lack)),
      }),
    ),
    shortage: optional(shortage),
    zoneShortages: optional(mapping(shortage)),
    startupSeconds: optional(list(count)),
    groupStartupSeconds: optional(mapping(list(count))),
  },
  {
    "its key does not match its fields": ({ pk, type }) => pk === makeableKey(type).pk,
    ...allNamed,
  },
);

const tally = shape<Tally>({ waits: list(count), waitedSeconds: number, ends: mapping(count) });

const summary = shape<PoolSummary>({
  total: number,
  free: number,
  mostFree: optional(list(count)),
  makeable: optional(count),
  grows: mark,
  inUse: count,
  waiting: count,
  waitingUnits: count,
  granted: count,
  preparing: count,
  active: count,
  stopping: count,
  unreadable: count,
  unreadableItems: count,
  plannedAt: number,
});

/** Parses the head of a pool. Throws `Unreadable` for anything that this version did not write. */
export const parsePool: (item: Item) => Pool = createParser(
  "pool",
  {
    type: text,
    seen: list(text),
    offered: mapping(list(text)),
    reach: shape<ScanWindow>({ begin: orNull(text), last: orNull(text), cut: mapping(number) }),
    round: optional(shape<Round>({ begin: orNull(text), begunAt: number, settledAt: orNull(number) })),
    head: orNull(shape<NonNullable<Pool["head"]>>({ uid, key: text })),
    summary,
    compared: shape<Pool["compared"]>({ item: orNull(text), at: number }),
    advisedAt: number,
    advised: text,
    plans: count,
    closed: orNull(literal(...closures)),
    drained: optional(list(isPoolPart)),
    plannedDrains: optional(list(isPlannedPart)),
    openedAt: optional(number),
    tally: optional(tally),
    dueShard: text,
    dueAt: optional(number),
  },
  {
    "its key does not match its fields": ({ pk, type }) => pk === poolKey(type).pk,
    "its tally has other buckets": ({ tally: counted }) =>
      counted === undefined || counted.waits.length === waitBounds.length + 1,
  },
);
