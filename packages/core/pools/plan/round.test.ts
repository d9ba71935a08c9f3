import { expect, test } from "vitest";
import { memoryTable } from "#tests/fakes/memory-table.ts";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { type Environment, waitingFields } from "../../environments/record/record.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { environmentKey } from "../../store/keys.ts";
import { findPool } from "../ledger/record.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Writes of one plan: 16 items of advice, a forecast in 17, its head, and those of the node's listing. */
const MOST_WRITES_A_MINUTE = 65;
/** Later than any test runs, so these records never become due. */
const NEVER = 8_640_000_000_000_000;

/** Returns a machine with 8 GPUs, of which a job holds 4, and owners with a job each that waits for all 8. */
async function partlyFreePool(owners: number) {
  const calls: string[] = [];
  const table = countedPort("table", memoryTable(), calls);
  const world = await memoryWorld({ table, nodes: newNodes({ h100: 1 }), settings: { maxWaitingPerUser: 0 } });
  await createEnvironment(world.as("holder"), newEnvironment("holds", { gpus: 4, hours: 24 }));
  await world.advance(10_000);
  const template = await createEnvironment(world.as("first"), newEnvironment("template", { hours: 24 }));
  for (let n = 1; n < owners; n++) await world.table.put(waitingCopy(template, n));
  return { world, template, calls };
}

/** Submits another owner's job for 8 GPUs, or for fewer for one hour, which ends before the holder does. */
function waitingCopy(template: Environment, n: number, units = template.size.units): Environment {
  const [uid, owner] = [n.toString(16).padStart(32, "0"), n.toString(16).padStart(32, "0")];
  const id = `waits-${n}`;
  const key = environmentKey(owner, "gpu-dev", id);
  const wantedMs = units < template.size.units ? HOUR : template.size.wantedMs;
  const size = { ...template.size, units, wantedMs };
  const record = {
    ...template,
    ...key,
    id,
    owner,
    uid,
    spec: uid,
    size,
    queuedAt: template.queuedAt + n,
    dueAt: NEVER,
  };
  return { ...record, ...waitingFields(record) };
}

async function plansIn(world: MemoryWorld, ms: number): Promise<number> {
  const before = (await findPool(world.ctx, "h100"))?.plans ?? 0;
  await world.advance(ms);
  return ((await findPool(world.ctx, "h100"))?.plans ?? 0) - before;
}

/** Reports whether this job left the line. It fails afterwards, because it has no spec. */
async function wasGranted(world: MemoryWorld, { pk, sk }: Environment): Promise<boolean> {
  return (await world.table.get({ pk, sk }))?.phase !== "queued";
}

for (const owners of [190, 210, 1_000]) {
  test(`plans a pool in which ${owners} owners wait for more than is free each minute after one round`, async () => {
    const { world, calls } = await partlyFreePool(owners);
    const plansOfRound = Math.ceil(owners / 200);

    expect(await plansIn(world, 30_000)).toBeLessThanOrEqual(2 * plansOfRound + 6);
    calls.length = 0;
    expect(await plansIn(world, 10 * MINUTE)).toBeLessThanOrEqual(12);
    expect(calls.filter((call) => call === "table.put").length).toBeLessThanOrEqual(10 * MOST_WRITES_A_MINUTE);
  });
}

test("finds the only job that fits in the first round although its owner is the last of 500", async () => {
  const { world, template } = await partlyFreePool(499);
  const last = waitingCopy(template, 9_999, 1);
  await world.table.put(last);

  await world.advance(10_000);

  expect(await wasGranted(world, last)).toBe(true);
});

test("starts a job that fits at once when its owner arrives after a round of 500 owners without a fit", async () => {
  const { world } = await partlyFreePool(500);
  await world.advance(5 * MINUTE);

  await createEnvironment(world.as("late"), newEnvironment("fits", { gpus: 1, hours: 1 }));
  await world.advance(10_000);

  expect((await world.read("late", "fits")).phase).toBe("active");
});

test("finds a fitting job that no message named, in the plans of each minute", async () => {
  const { world, template } = await partlyFreePool(500);
  await world.advance(5 * MINUTE);
  const unnamed = waitingCopy(template, 9_999, 1);
  await world.table.put(unnamed);

  await world.advance(4 * MINUTE);

  expect(await wasGranted(world, unnamed)).toBe(true);
});

test("capacity returned after a round begins a new one", async () => {
  const { world, template } = await partlyFreePool(500);
  await createEnvironment(world.as("holder"), newEnvironment("holds-two", { gpus: 2, hours: 1 }));
  await world.advance(5_000);
  const wantsFour = waitingCopy(template, 9_999, 4);
  await world.table.put(wantsFour);
  await world.advance(5 * MINUTE);
  const before = await wasGranted(world, wantsFour);

  await requestCancel(world.as("holder"), "holds-two");
  await world.advance(90_000);

  expect(before).toBe(false);
  expect(await wasGranted(world, wantsFour)).toBe(true);
});
