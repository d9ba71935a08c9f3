import type { Item } from "../context.ts";
import { isSize, shares } from "../environments/parse.ts";
import { poolKey } from "../keys.ts";
import {
  count,
  flag,
  listOf,
  mapOf,
  mark,
  number,
  oneOf,
  optional,
  ordinal,
  orNull,
  shape,
  type Table,
  text,
  uid,
} from "../shape.ts";
import { parserOf } from "../unreadable.ts";
import type { Reach } from "./lines.ts";
import type { Grant, Holding, Pool, PoolNode, PoolSummary } from "./record.ts";
import { type Tally, waitBounds } from "./tally.ts";

const grant: Table<Grant> = {
  key: text,
  uid,
  run: ordinal,
  owner: text,
  size: isSize,
  shares,
  at: number,
  unreadableSince: optional(number),
};

const node = shape<PoolNode>({
  name: text,
  uid: text,
  providerId: orNull(text),
  zone: text,
  ready: flag,
  units: count,
  foreignUnits: count,
  gone: mark,
  saidAt: optional(number),
});

const tally = shape<Tally>({ waits: listOf(count), waitedSeconds: number, ends: mapOf(count) });

const summary = shape<PoolSummary>({
  total: number,
  free: number,
  inUse: count,
  waiting: count,
  waitingUnits: count,
  preparing: count,
  active: count,
  unreadable: count,
  plannedAt: number,
});

/** Throws `Unreadable` for anything that this version did not write. */
export const parsePool: (item: Item) => Pool = parserOf(
  "pool",
  {
    type: text,
    nodes: listOf(node),
    maxNodes: count,
    startupMs: number,
    granted: listOf(shape(grant)),
    held: listOf(shape<Holding>({ ...grant, phase: oneOf("preparing", "active", "stopping"), endsAt: orNull(number) })),
    seen: listOf(text),
    reach: shape<Reach>({ begin: orNull(text), last: orNull(text), cut: mapOf(number) }),
    head: orNull(shape<NonNullable<Pool["head"]>>({ uid, key: text })),
    setAside: listOf(shape<Pool["setAside"][number]>({ node: text, until: number })),
    summary,
    refreshedAt: number,
    advisedAt: number,
    advised: text,
    plans: count,
    closed: optional(orNull(oneOf("drained", "paused"))),
    tally: optional(tally),
    dueShard: text,
    dueAt: optional(number),
  },
  {
    "its key is another's": ({ pk, type }) => pk === poolKey(type).pk,
    "a holding names no machine": ({ granted, held }) => granted.every(namesMachines) && held.every(namesMachines),
    "its tally counts other waits": ({ tally: counted }) =>
      counted === undefined || counted.waits.length === waitBounds.length + 1,
  },
);

function namesMachines({ shares: named }: Grant): boolean {
  return named.length > 0;
}
