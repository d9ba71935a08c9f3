import type { Compute } from "#core/ports/compute.ts";
import type { Queue, QueueName, ReconcileRequest, SendOptions } from "#core/ports/queue.ts";
import type { Item, Key, Stored, Table } from "#core/ports/table.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import type { Host, Scheduler } from "../scheduler.ts";

export interface TruePorts {
  readonly table: Table;
  readonly queue: Queue;
  readonly compute: Compute;
  readonly volumes: Volumes;
}

/** Longest answer time of an environment (packages/core/chat/deliver.ts). */
const LONGEST_POST_MS = 5_000;

/** Time until an SDK retries. */
const LONGEST_REPEAT_MS = 3_000;

/** Time that a struggling server takes to list ten thousand pods. */
const LONGEST_LISTING_MS = 15_000;

/** Less than a call's time-out. */
const LONGEST_CREATE_MS = 4_000;

/** Wraps the ports of one host. Any call may fail, be late, or sleep. */
export function faultyPorts(sim: Scheduler, host: Host, ports: TruePorts): TruePorts {
  const call = <T>(label: string, effect: () => Promise<T>) => sim.call(host, label, effect);
  const { queue, compute, volumes } = ports;
  const { table, tableCall } = throttled(sim, host, ports.table);
  /** Writes, and may repeat the write as an SDK does after a lost answer. The repeat meets the first write. */
  const write = async (label: string, isConditional: boolean, effect: () => Promise<void>) => {
    await tableCall(label, effect);
    const { ownRepeated } = sim.rates();
    if (!isConditional || ownRepeated === 0 || sim.random() >= ownRepeated) return;
    sim.tell(host.name, `repeats ${label}, which had its effect`);
    await sim.call(host, `repeat ${label}`, effect, sim.random() * LONGEST_REPEAT_MS);
  };
  return {
    table: {
      async get(key) {
        if (isLedgerPartition(key.pk) && (await table.get(key)) === undefined) return undefined;
        return call(`get ${key.pk}|${key.sk}`, () => table.get(key));
      },
      getMany: (keys) => table.getMany(keys),
      put: (item, options) => write(formatLabel(item), options?.ifWriter !== undefined, () => table.put(item, options)),
      putAll: (puts) => write(puts.map(({ item }) => formatLabel(item)).join(", "), true, () => table.putAll(puts)),
      remove: (key, options) => call(`remove ${key.pk}|${key.sk}`, () => table.remove(key, options)),
      query: async (query) => {
        // Most of the many small partitions are empty. Calls for them would dominate the schedule.
        const isOfMany = "index" in query ? query.index === "due" : isLedgerPartition(query.pk);
        const empty = isOfMany ? await table.query(query) : undefined;
        if (empty?.items.length === 0) return empty;
        return tableCall("query", () => table.query(query));
      },
      count: (range) => tableCall("count", () => table.count(range)),
    },
    queue: {
      depth: (name) => queue.depth(name),
      send: (name, message, options) =>
        call(`send ${name} ${message.look} +${options?.delaySeconds ?? 0}s`, () =>
          sendWithFaults(sim, queue, name, message, options),
        ),
    },
    compute: {
      apply: (run) => call(`apply ${run.uid}-r${run.run}`, () => compute.apply(run)),
      observe: (uid, run) => call(`observe ${uid}-r${run}`, () => compute.observe(uid, run)),
      begin: (uid, run) => call(`begin ${uid}-r${run}`, () => compute.begin(uid, run)),
      terminate: (uid, run, graceSeconds) =>
        call(`terminate ${uid}-r${run}`, () => compute.terminate(uid, run, graceSeconds)),
      async remove(uid, run, { tombstones, ...removal }) {
        const removed = await call(`remove ${uid}-r${run}`, () => compute.remove(uid, run, removal));
        if (tombstones === undefined) return removed;
        // The cluster frees the name of a deleted Job until the tombstone takes it.
        const bury = () => compute.remove(uid, run, { ...removal, tombstones });
        return call(`bury ${uid}-r${run}`, bury);
      },
      extend: (uid, run, until) => call(`extend ${uid}-r${run}`, () => compute.extend(uid, run, until)),
      setAccess: (uid, run, access) => call(`setAccess ${uid}-r${run}`, () => compute.setAccess(uid, run, access)),
      resize: (uid, run, ...wanted) => call(`resize ${uid}-r${run}`, () => compute.resize(uid, run, ...wanted)),
      tell: (uid, run, notice) => call(`tell ${uid}-r${run} ${notice.kind}`, () => compute.tell(uid, run, notice)),
      countWork: (uid, run) => call(`countWork ${uid}-r${run}`, () => compute.countWork(uid, run)),
      startExec: (uid, run, exec) => call(`startExec ${uid}-r${run}`, () => compute.startExec(uid, run, exec)),
      readExec: (uid, run, id, ms) =>
        // The scheduler waits instead of the port.
        sim.call(host, `readExec ${uid}-r${run}`, () => compute.readExec(uid, run, id, 0), ms),
      postToPort: (uid, run, request) => {
        const tookMs = sim.random() * sim.random() * LONGEST_POST_MS;
        const effect = () => compute.postToPort(uid, run, request);
        return sim.call(host, `postToPort ${uid}-r${run}`, effect, tookMs);
      },
      readLog: (...of) => call("readLog", () => compute.readLog(...of)),
      // Reconciles do not use it.
      changes: compute.changes,
      listParts: () => call("listParts", () => compute.listParts()),
      listRuns: (uid) => call("listRuns", () => compute.listRuns(uid)),
      async listNodes(names) {
        // All pages show the state of the first one.
        const listed = await compute.listNodes(names);
        // Named nodes are read one by one.
        return sim.call(host, "listNodes", async () => listed, names ? 0 : listMs(sim));
      },
      findSilence: (node) => call(`silenceOf ${node.name}`, () => compute.findSilence(node)),
      getMachineState: (node) => call(`machineOf ${node.name}`, () => compute.getMachineState(node)),
    },
    volumes: {
      listedWithinMs: volumes.listedWithinMs,
      snapshotsInUse: volumes.snapshotsInUse,
      createVolume: (wanted) => {
        const effect = () => volumes.createVolume(wanted);
        return sim.call(host, `createVolume ${wanted.token}`, effect, createMs(sim));
      },
      findVolume: (id) => call(`findVolume ${id}`, () => volumes.findVolume(id)),
      listVolumes: (token) => call(`listVolumes ${token}`, () => volumes.listVolumes(token)),
      listOwned: (after) => call("listOwned", () => volumes.listOwned(after)),
      detachVolume: (id, machine) =>
        call(`detachVolume ${id} from ${machine.name}`, () => volumes.detachVolume(id, machine)),
      removeVolume: (id) => call(`removeVolume ${id}`, () => volumes.removeVolume(id)),
      createSnapshot: (id, tags) => {
        const effect = () => volumes.createSnapshot(id, tags);
        return sim.call(host, `createSnapshot ${id} ${tags.attempt}`, effect, createMs(sim));
      },
      listSnapshots: (id) => call(`listSnapshots ${id}`, () => volumes.listSnapshots(id)),
      listOwnedSnapshots: (after) => call("listOwnedSnapshots", () => volumes.listOwnedSnapshots(after)),
      findSnapshot: (id) => call(`findSnapshot ${id}`, () => volumes.findSnapshot(id)),
      removeSnapshot: (id) => call(`removeSnapshot ${id}`, () => volumes.removeSnapshot(id)),
      startArchive: (id, blob, owner) => call(`startArchive ${id}`, () => volumes.startArchive(id, blob, owner)),
      endArchive: (blob, owner) => call("endArchive", () => volumes.endArchive(blob, owner)),
      findArchive: (blob) => call("findArchive", () => volumes.findArchive(blob)),
      tagSnapshot: (id, tags) => call(`tagSnapshot ${id}`, () => volumes.tagSnapshot(id, tags)),
    },
  };
}

function isLedgerPartition(pk: string): boolean {
  return pk.startsWith("pool#") && pk.includes("#", "pool#".length);
}

function formatLabel({ pk, sk, writers }: Stored): string {
  return `put ${pk}|${sk} ${writers[0]?.slice(0, 6)}`;
}

/** Wraps the table with throttling. The SDK retries with backoff until it gives up. */
function throttled(sim: Scheduler, host: Host, table: Table) {
  const isThrottled = () => sim.rates().throttle > 0 && sim.random() < sim.rates().throttle;
  const waitMs = () => sim.random() * LONGEST_REPEAT_MS;
  const tableCall = <T>(label: string, effect: () => Promise<T>): Promise<T> => {
    if (!isThrottled()) return sim.call(host, label, effect);
    sim.setBack(sim.time() + LONGEST_REPEAT_MS);
    const isGivenUp = sim.random() < 0.2;
    sim.tell(host.name, `${label} is throttled${isGivenUp ? ", and given up" : ""}`);
    if (!isGivenUp) return sim.call(host, label, effect, waitMs());
    return sim.call(host, label, () => Promise.reject(new Error("injected: throttled")), LONGEST_REPEAT_MS);
  };
  const getMany = async (keys: readonly Key[]): Promise<Item[]> => {
    const label = `getMany ${keys.length}`;
    if (keys.length < 2 || !isThrottled()) return tableCall(label, () => table.getMany(keys));
    // Unprocessed keys are read later. If that read fails, the whole batch fails.
    const middle = 1 + Math.floor(sim.random() * (keys.length - 1));
    const first = await sim.call(host, `${label}, a part`, () => table.getMany(keys.slice(0, middle)));
    sim.tell(host.name, `${label} is answered in parts`);
    const rest = await sim.call(host, `${label}, the rest`, () => table.getMany(keys.slice(middle)), waitMs());
    return [...rest, ...first];
  };
  return { table: { ...table, getMany }, tableCall };
}

function listMs(sim: Scheduler): number {
  return sim.random() < 0.5 ? sim.random() * LONGEST_LISTING_MS : 0;
}

function createMs(sim: Scheduler): number {
  return sim.random() < 0.5 ? sim.random() * LONGEST_CREATE_MS : 0;
}

/** Sends a message that may be lost or doubled. Receivers pick messages at random anyway. */
async function sendWithFaults(
  sim: Scheduler,
  queue: Queue,
  name: QueueName,
  message: ReconcileRequest,
  options?: SendOptions,
): Promise<void> {
  const { dropSend, doubleSend } = sim.rates();
  if (dropSend > 0 && sim.random() < dropSend) {
    sim.setBack(sim.time());
    sim.note(`lost: ${message.look}`);
    return sim.tell("queue", `loses a look at ${message.look}`);
  }
  await queue.send(name, message, options);
  if (doubleSend > 0 && sim.random() < doubleSend) await queue.send(name, message, options);
}
