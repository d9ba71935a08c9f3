import { type Environment, waitingFields } from "#core/environments/record/record.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { findLedger } from "#core/pools/ledger/ledger.ts";
import type { NodeLedger } from "#core/pools/ledger/record.ts";
import { planPools } from "#core/pools/plan/planner.ts";
import { environmentKey, keyText, poolKey } from "#core/store/keys.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "../../worlds/memory-world.ts";
import { type Measure, percentileRows, type Row } from "../measure.ts";

const pool = "h100";
const recordKey = keyText(poolKey(pool));
const handovers = 50;
const waiting = 2_000;
const owners = 100;
/** After the bench ends, so no reconcile is due. */
const NEVER = 8_640_000_000_000_000;
/** DynamoDB bills a write by the KB. */
const UNIT_BYTES = 1024;

/**
 * Time from a record that frees its machine to the write of the next grant, in a full pool with 2,000 waiting requests.
 * Only the planner runs, on memory ports. The forecast comes later and is left out.
 */
export const ledger: Measure = {
  name: "ledger",
  async run() {
    return [...(await handedOver(1_000, 1_000)), ...(await handedOver(10_000, 3_000))];
  },
};

async function handedOver(nodes: number, limitMs: number): Promise<Row[]> {
  const { world, holders, ended } = await fullPool(nodes);
  const times: number[] = [];
  const items: number[] = [];
  const units: number[] = [];
  for (const holder of holders.slice(0, handovers)) {
    world.clock.advance(1_000);
    const { pk, sk, id, uid, placement } = holder;
    const run = { ...ended.run, machines: holder.run.machines };
    const environment: Environment = { ...ended, pk, sk, id, uid, placement, run, dueAt: NEVER };
    await world.table.put(environment);
    const begun = performance.now();
    let grantedMs: number | undefined;
    let [count, written] = [0, 0];
    const put: typeof world.table.put = async (item, options) => {
      await world.table.put(item, options);
      if (!item.pk.startsWith(`pool#${pool}`)) return;
      count += 1;
      written += Math.ceil(Buffer.byteLength(JSON.stringify(item)) / UNIT_BYTES);
      if ((item as NodeLedger).granted?.length) grantedMs ??= performance.now() - begun;
    };
    await planPools({ ...world.ctx, table: { ...world.table, put } }, [{ look: recordKey, for: [keyText(holder)] }]);
    if (grantedMs === undefined) throw new Error(`The machine that ${holder.id} gave back was not granted`);
    times.push(grantedMs);
    items.push(count);
    units.push(written);
  }
  const bytes = (await findLedger(world.ctx, pool))?.nodes.map((node) => JSON.stringify(node).length) ?? [];
  const name = `${nodes} nodes, ${waiting} waiting`;
  const most = (values: readonly number[]) => Math.max(...values);
  return [
    ...percentileRows(`freed → granted, ${name}`, times, { p99: limitMs, note: "memory ports" }),
    { name: `items written per plan, ${name}, most`, value: most(items), unit: "" },
    { name: `write units per plan, ${name}, most`, value: most(units), unit: "" },
    { name: `largest ledger item of a node, ${name}`, value: most(bytes), unit: "B" },
  ];
}

/** Fills every machine with a record. `ended` is such a record after it freed its machine. */
async function fullPool(nodes: number) {
  const world = await memoryWorld({ nodes: newNodes({ [pool]: nodes }), settings: { maxWaitingPerUser: 0 } });
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("ends", { hours: 24 }));
  await world.advance(5_000);
  await requestCancel(alice, "ends");
  await world.advance(60_000);
  const ended = await world.read("alice", "ends");
  await createEnvironment(alice, newEnvironment("template", { hours: 24 }));
  await world.advance(5_000);
  const template = await world.read("alice", "template");
  const holders = await holdAll(world, template);
  await fillLines(world);
  await world.advance(1_000);
  return { world, holders, ended };
}

async function holdAll(world: MemoryWorld, template: Environment): Promise<Environment[]> {
  const machines = (await findLedger(world.ctx, pool))?.nodes ?? [];
  const held = machines.flatMap((node) => node.held)[0];
  const [machine] = template.run.machines;
  if (!held || !machine) throw new Error(`The first job is ${template.phase}, not active`);
  const holders: Environment[] = [];
  for (const [n, node] of machines.entries()) {
    if (node.held.length > 0) continue;
    const id = `held-${n}`;
    const uid = formatUid(n);
    const grant = { id: uid, shares: [{ node: node.name, units: node.units }], at: held.at };
    const placement = { ...template.placement, ledgers: [keyText(node)] };
    const { name, uid: nodeUid, providerId } = node;
    const run = { ...template.run, grant, machines: [{ ...machine, name, uid: nodeUid, providerId }] };
    const key = environmentKey(template.owner, "gpu-dev", id);
    const record = { ...template, ...key, id, uid, run, placement, dueAt: NEVER };
    holders.push(record);
    await world.table.put(record);
    const item: NodeLedger = { ...node, held: [{ ...held, key: keyText(key), uid, grant: uid }] };
    await world.table.put(item);
  }
  return holders;
}

async function fillLines(world: MemoryWorld): Promise<void> {
  const template = await createEnvironment(world.as("bob"), newEnvironment("waits"));
  for (let n = 1; n < waiting; n++) {
    const owner = formatUid(n % owners);
    const [uid, queuedAt] = [formatUid(1_000_000 + n), template.queuedAt + n];
    const key = environmentKey(owner, "gpu-dev", `waits-${n}`);
    const record = { ...template, ...key, owner, uid, queuedAt, createdAt: queuedAt, dueAt: NEVER };
    await world.table.put({ ...record, ...waitingFields(record) });
  }
}

function formatUid(n: number): string {
  return n.toString(16).padStart(32, "0");
}
