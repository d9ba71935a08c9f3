import { ENDED_UNREADABLE } from "#core/environments/verbs/recover-archive.ts";
import type { Item, Key, Page, Stored, Table } from "#core/ports/table.ts";
import { FORMAT } from "#core/store/unreadable.ts";
import type { MemoryTable } from "../../fakes/memory-table.ts";
import type { ClientAction } from "../clients/clients.ts";
import type { Reached } from "../reached.ts";
import type { Host, Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { UNKNOWN_PHASE } from "./weather.ts";

/** Two versions of the code. The newer one writes these kinds of records in a format that the older one cannot read. */
export interface Versions {
  readonly kinds: Set<string>;
  readonly newer: Set<Host>;
  /** Hosts by the token of their write. A process continues with what it wrote without reading it again. */
  readonly writers: Map<string, Host>;
}

const NEXT = FORMAT + 1;
const kinds = [
  ...[
    "environment",
    "environment",
    "environment",
    "pool",
    "node",
    "makeable",
    "disk",
    "disk",
    "directory",
    "spec",
    "user",
    "key",
    "counter",
  ],
  ...["inbox", "message", "delivery", "receiver", "share"],
  ...["access", "operation", "admission", "idempotency", "host", "archive"],
];

/**
 * Deploys the newer version host by host, with some returns to the older one. In the end all hosts have the newer one.
 * A deployment ends the host's work.
 */
export function versionWeather(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const count = 1 + Math.floor(sim.random() * 3);
  const changed = Array.from({ length: count }, () => sim.pick(kinds));
  const deploy = (host: Host, isNewer: boolean) => {
    for (const kind of changed) world.versions.kinds.add(kind);
    if (world.versions.newer.has(host) === isNewer) return;
    sim.tell("weather", `${host.name} gets the ${isNewer ? "newer" : "older"} version`);
    if (isNewer) world.versions.newer.add(host);
    else world.versions.newer.delete(host);
    sim.crash(host);
  };
  const start = sim.time();
  const steps = Array.from({ length: 2 + Math.floor(sim.random() * 5) }, () => {
    const host = sim.pick(world.hosts);
    const isNewer = sim.random() < 0.75;
    return { at: start + sim.random() * (until - start), run: () => deploy(host, isNewer) };
  });
  const all = () => {
    for (const host of world.hosts) deploy(host, true);
  };
  return [...steps, { at: until, run: all, isNeeded: true }];
}

/** Reads an item as the newer version does: both formats, with unknown fields kept. */
export function readByNewer(item: Item): Item {
  return item.format === NEXT ? { ...item, format: FORMAT } : item;
}

/** Wraps the table for a host's version. An older version must not change newer records, and no field may be lost. */
export function versionedTable(
  table: Table,
  memory: Pick<MemoryTable, "get">,
  host: Host,
  { kinds, newer, writers }: Versions,
  { violated, reached }: { readonly violated: (text: string) => void; readonly reached: Reached },
): Table {
  const isInPlay = () => kinds.size > 0;
  const read = (item: Item): Item => {
    if (item.format !== NEXT) return item;
    if (newer.has(host)) return readByNewer(item);
    reached.note("a newer record left alone");
    return item;
  };
  const readPage = (page: Page): Page => (isInPlay() ? { ...page, items: page.items.map(read) } : page);

  /** Reads an item before its change or removal, when its age still shows. */
  async function checkAge(key: Key, next: Item | undefined): Promise<() => void> {
    const before = isInPlay() ? await memory.get({ pk: key.pk, sk: key.sk }) : undefined;
    // A manual edit precedes a forced end.
    if (before?.format !== NEXT || before.phase === UNKNOWN_PHASE) return () => undefined;
    // These go with their environment in any format. Otherwise its secrets would outlive it and its host label would
    // stay taken.
    if (["spec", "message", "host"].includes(String(before.kind)) && !next) return () => undefined;
    return () => {
      const name = `${before.kind} ${before.pk}|${before.sk}`;
      // An operator may end by force what the older version cannot read.
      const isForced = next?.phase === "stopping" && next.reason === ENDED_UNREADABLE;
      if (!newer.has(host) && !isForced) {
        violated(`an older version ${next ? "wrote over" : "removed"} the newer ${name}`);
      }
      const wasRead = writers.get(before.writers[0] ?? "") !== host;
      if (wasRead && next?.uid === before.uid && next?.added === undefined)
        violated(`a field that nobody knows was lost from ${name}`);
    };
  }

  return {
    async get(key) {
      const item = await table.get(key);
      return item && (isInPlay() ? read(item) : item);
    },
    async getMany(keys) {
      const items = await table.getMany(keys);
      return isInPlay() ? items.map(read) : items;
    },
    async put(item, options) {
      const judge = await checkAge(item, item as Stored as Item);
      if (newer.has(host)) writers.set(item.writers[0] ?? "", host);
      await table.put(newer.has(host) ? writtenByNewer(item, kinds) : item, options);
      judge();
    },
    async putAll(puts) {
      const judges = await Promise.all(puts.map(({ item }) => checkAge(item, item as Stored as Item)));
      const isNewer = newer.has(host);
      if (isNewer) for (const { item } of puts) writers.set(item.writers[0] ?? "", host);
      await table.putAll(puts.map((put) => (isNewer ? { ...put, item: writtenByNewer(put.item, kinds) } : put)));
      for (const judge of judges) judge();
    },
    async remove(key, options) {
      const judge = await checkAge(key, undefined);
      await table.remove(key, options);
      judge();
    },
    query: async (query) => readPage(await table.query(query)),
    count: (range) => table.count(range),
  };
}

function writtenByNewer(item: Stored, kinds: ReadonlySet<string>): Stored {
  const { kind, format, added } = item as Item;
  if (format !== FORMAT || !kinds.has(String(kind))) return item;
  return { ...item, format: NEXT, added: added ?? { by: "a newer version" } } as Stored;
}
