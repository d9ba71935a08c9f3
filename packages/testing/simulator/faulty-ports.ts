import type { Compute, Look, Queue, QueueName, SendOptions, Table, Volumes } from "#core/context.ts";
import type { Host, Scheduler } from "./scheduler.ts";

export interface TruePorts {
  readonly table: Table;
  readonly queue: Queue;
  readonly compute: Compute;
  readonly volumes: Volumes;
}

/** The ports as one host sees them: every call is a point at which anything may happen. */
export function faultyPorts(sim: Scheduler, host: Host, ports: TruePorts): TruePorts {
  const call = <T>(label: string, effect: () => Promise<T>) => sim.call(host, label, effect);
  const { table, queue, compute, volumes } = ports;
  return {
    table: {
      get: (key) => call(`get ${key.pk}|${key.sk}`, () => table.get(key)),
      getMany: (keys) => call(`getMany ${keys.length}`, () => table.getMany(keys)),
      put: (item, options) => call(`put ${item.pk}|${item.sk} v${item.version}`, () => table.put(item, options)),
      remove: (key, options) => call(`remove ${key.pk}|${key.sk}`, () => table.remove(key, options)),
      query: async (query) => {
        const empty = "index" in query && query.index === "due" ? await table.query(query) : undefined;
        if (empty?.items.length === 0) return empty;
        return call("query", () => table.query(query));
      },
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
      remove: (uid, run, options) => call(`remove ${uid}-r${run}`, () => compute.remove(uid, run, options)),
      extend: (uid, run, until) => call(`extend ${uid}-r${run}`, () => compute.extend(uid, run, until)),
      setAccess: (uid, run, access) => call(`setAccess ${uid}-r${run}`, () => compute.setAccess(uid, run, access)),
      readLog: (uid, run) => call("readLog", () => compute.readLog(uid, run)),
      listRuns: () => call("listRuns", () => compute.listRuns()),
      listNodes: () => call("listNodes", () => compute.listNodes()),
    },
    volumes: {
      createVolume: (wanted) => call(`createVolume ${wanted.token}`, () => volumes.createVolume(wanted)),
      findVolume: (id) => call(`findVolume ${id}`, () => volumes.findVolume(id)),
      removeVolume: (id) => call(`removeVolume ${id}`, () => volumes.removeVolume(id)),
      createSnapshot: (id, tags) =>
        call(`createSnapshot ${id} ${tags.attempt}`, () => volumes.createSnapshot(id, tags)),
      listSnapshots: (id) => call(`listSnapshots ${id}`, () => volumes.listSnapshots(id)),
      findSnapshot: (id) => call(`findSnapshot ${id}`, () => volumes.findSnapshot(id)),
      removeSnapshot: (id) => call(`removeSnapshot ${id}`, () => volumes.removeSnapshot(id)),
      tagSnapshot: (id, tags) => call(`tagSnapshot ${id}`, () => volumes.tagSnapshot(id, tags)),
    },
  };
}

/** A message may be lost or doubled; order is lost anyway, because the receiver picks at random. */
async function sendWithFaults(
  sim: Scheduler,
  queue: Queue,
  name: QueueName,
  message: Look,
  options?: SendOptions,
): Promise<void> {
  const { dropSend, doubleSend } = sim.rates();
  if (dropSend > 0 && sim.random() < dropSend) return sim.note(`lost: ${message.look}`);
  await queue.send(name, message, options);
  if (doubleSend > 0 && sim.random() < doubleSend) await queue.send(name, message, options);
}
