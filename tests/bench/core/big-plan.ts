import { type Environment, waitingFields } from "#core/environments/record/record.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { findLedger } from "#core/pools/ledger/ledger.ts";
import type { HeldEntry, NodeLedger } from "#core/pools/ledger/record.ts";
import { planPools } from "#core/pools/plan/planner.ts";
import { environmentKey, keyText, poolKey } from "#core/store/keys.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "../../worlds/memory-world.ts";
import { type Measure, median } from "../measure.ts";

const pool = "h100";
const recordKey = keyText(poolKey(pool));
const owners = 100;
const waiting = 2_000;
const plans = 4;
const limitMs = 1_500;
/** Due after the bench ends, but soon enough that a plan does not request reconciles. */
const DUE_IN_MS = 86_400_000;

/** CPU of whole plans, including reads, writes and forecast, in a pool where each GPU is held by its own job. */
export const bigPlan: Measure = {
  name: "big-plan",
  async run() {
    const world = await heldPool(10_000, 79_400);
    const times: number[] = [];
    for (let n = 0; n < plans; n++) {
      world.clock.advance(60_000);
      const begun = process.cpuUsage();
      // CPU time of this process since the plan began.
      const usedMs = () => {
        const { user, system } = process.cpuUsage(begun);
        return (user + system) / 1000;
      };
      // The forecast has a time budget. CPU time as its clock keeps a busy machine from changing the result.
      await planPools({ ...world.ctx, clock: { ...world.clock, monotonic: usedMs } }, [{ look: recordKey }]);
      if (n > 0) times.push(usedMs());
    }
    const name = "plan and forecast of 10000 nodes, 79400 held, 2000 waiting";
    const note = `CPU, median of ${times.length}; memory ports`;
    return [{ name, value: median(times), unit: "ms", limit: limitMs, note }];
  },
};

async function heldPool(nodes: number, held: number): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: newNodes({ [pool]: nodes }), settings: { maxWaitingPerUser: 0 } });
  await createEnvironment(world.as("alice"), newEnvironment("template", { hours: 24, gpus: 1 }));
  await world.advance(5_000);
  const template = await world.read("alice", "template");
  const machines = (await findLedger(world.ctx, pool))?.nodes ?? [];
  const entry = machines.flatMap((node) => node.held)[0];
  if (!entry) throw new Error(`The first job is ${template.phase}, not active`);
  let count = 0;
  for (const node of machines) {
    const entries: HeldEntry[] = [];
    for (let n = 0; n < 8 && count < held; n++) entries.push(await holding(world, template, entry, node, ++count));
    const item: NodeLedger = { ...node, held: entries };
    await world.table.put(item);
  }
  await fillLines(world);
  return world;
}

async function holding(world: MemoryWorld, template: Environment, entry: HeldEntry, node: NodeLedger, n: number) {
  const id = `held-${n}`;
  const uid = formatUid(n);
  const owner = formatUid(n % owners);
  const grant = { id: uid, shares: [{ node: node.name, units: 1 }], at: entry.at };
  const placement = { ...template.placement, ledgers: [keyText(node)] };
  const run = { ...template.run, grant };
  const key = environmentKey(owner, "gpu-dev", id);
  const endsAt = (entry.endsAt ?? 0) + ((n * 7919) % 86_400_000);
  const times = { ...template.times, endsAt };
  const record: Environment = { ...template, ...key, id, uid, owner, run, placement, times, dueAt: dueAt(world) };
  await world.table.put(record);
  return { ...entry, key: keyText(key), uid, owner, grant: uid, endsAt };
}

async function fillLines(world: MemoryWorld): Promise<void> {
  const template = await createEnvironment(world.as("bob"), newEnvironment("waits"));
  for (let n = 1; n < waiting; n++) {
    const owner = formatUid(n % owners);
    const [uid, queuedAt] = [formatUid(1_000_000 + n), template.queuedAt + n];
    const id = `waits-${n}`;
    const key = environmentKey(owner, "gpu-dev", id);
    const record: Environment = {
      ...template,
      ...key,
      id,
      owner,
      uid,
      queuedAt,
      createdAt: queuedAt,
      dueAt: dueAt(world),
    };
    await world.table.put({ ...record, ...waitingFields(record) });
  }
}

function dueAt({ clock }: MemoryWorld): number {
  return clock.now() + DUE_IN_MS;
}

function formatUid(n: number): string {
  return n.toString(16).padStart(32, "0");
}
