import { expect, test } from "vitest";
import { memoryIndex } from "#tests/fakes/memory-index.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { waitingFields } from "../../environments/record/record.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item, Key } from "../../ports/table.ts";
import { environmentKey, keyText, poolKey } from "../../store/keys.ts";
import { FORMAT } from "../../store/unreadable.ts";
import { readAdvice } from "../forecast/advice.ts";
import { planPools } from "./planner.ts";
import { reasonText } from "./reasons.ts";

const MINUTE = 60_000;

/** Rewrites the record as a newer version would. Returns a function that restores it. */
async function makeNewer({ table }: MemoryWorld, { pk, sk }: Key): Promise<() => Promise<void>> {
  const whole = (await table.get({ pk, sk })) as Item;
  await table.put({ ...whole, format: FORMAT + 1 } as Item);
  return () => table.put(whole);
}

function toItem({ table }: MemoryWorld, node: string): Item {
  const item = table.all().find(({ kind, name }) => kind === "node" && name === node);
  if (!item) throw new Error(`No ledger item of ${node}`);
  return item;
}

/** Returns two machines, one of them used by `runs`. `first` in line needs both. */
async function oneOfTwoFree() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { hours: 24 }));
  await world.advance(MINUTE);
  const first = await createEnvironment(world.as("bob"), newEnvironment("both", { gpus: 16 }));
  await world.advance(MINUTE);
  return { world, first };
}

test("the first job in the queue keeps its place, and others start, although the index proposes hundreds of ended jobs", async () => {
  const { world, first } = await oneOfTwoFree();
  const next = await createEnvironment(world.as("carol"), newEnvironment("short", { hours: 1 }));
  const index = memoryIndex("waiting", { clock: undefined, random: Math.random, latenessMs: 0 });
  for (const environment of [first, next]) index.record(environment.uid, environment as never);
  for (let n = 0; n < 1_000; n++) {
    const [uid, owner] = [n.toString(16).padStart(32, "0"), (n % 100).toString(16).padStart(32, "0")];
    const fields = { ...waitingFields({ size: next.size, owner, queuedAt: first.queuedAt + n, uid }), uid, owner };
    index.record(uid, { ...environmentKey(owner, "gpu-dev", uid), writers: [], ...fields, size: next.size });
  }
  const query: typeof world.table.query = async (input) =>
    "index" in input && input.index === "waiting" ? index.query(input) : world.table.query(input);
  const message = { look: keyText(poolKey("h100")), for: [keyText(next)] };

  await planPools({ ...world.ctx, table: { ...world.table, query } }, [message]);

  const pool = await viewPool(world.ctx, "h100");
  expect(pool?.head?.uid).toBe(first.uid);
  expect(pool?.seen).toContain(first.uid);
  expect(pool?.granted.map(({ uid }) => uid)).toEqual([next.uid]);
});

test("the first job in the queue keeps its place while a ledger item that it needs is unreadable, and others start", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 3 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { hours: 24 }));
  await world.advance(MINUTE);
  const first = await createEnvironment(world.as("bob"), newEnvironment("all", { gpus: 24 }));
  await world.advance(MINUTE);

  const putBack = await makeNewer(world, toItem(world, "h100-3"));
  const small = await createEnvironment(world.as("carol"), newEnvironment("small", { hours: 24 }));
  await world.advance(MINUTE);
  await createEnvironment(world.as("dora"), newEnvironment("next"));
  await world.advance(2 * MINUTE);
  const meanwhile = await viewPool(world.ctx, "h100");
  const answer = (await readAdvice(world.ctx, [first])).get(first.uid)?.place;
  await putBack();
  await world.advance(2 * MINUTE);

  expect([meanwhile?.head?.uid, meanwhile?.summary.total]).toEqual([first.uid, 24]);
  expect(meanwhile?.held.map(({ uid }) => uid)).toContain(small.uid);
  expect(answer && reasonText(answer, "h100")).toBe(
    "Need 24 H100 GPUs, more than the nodes with readable records have - position #1",
  );
  expect((await viewPool(world.ctx, "h100"))?.head?.uid).toBe(first.uid);
});

test("an environment granted a machine whose ledger item has a newer format is not cancelled as waiting", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { maxQueueHours: 1 } });
  const granted = await createEnvironment(world.as("bob"), newEnvironment("job"));
  const message = { look: keyText(poolKey("h100")), for: [keyText(granted)] };
  await planPools({ ...world.ctx, queue: { ...world.queue, send: async () => {} } }, [message]);
  for (const { id } of world.queue.receive("pools", 10)) world.queue.acknowledge("pools", id);

  const putBack = await makeNewer(world, toItem(world, "h100-1"));
  await world.advance(80 * MINUTE);
  const waits = await world.read("bob", "job");
  await putBack();
  await world.advance(2 * MINUTE);

  expect(waits.phase).toBe("queued");
  expect((await world.read("bob", "job")).phase).toBe("active");
});

test("the first job in the queue keeps its place with a record of a newer format, and blocks no others", async () => {
  const { world, first } = await oneOfTwoFree();

  const putBack = await makeNewer(world, first);
  for (const owner of ["carol", "dora", "eve"])
    await createEnvironment(world.as(owner), newEnvironment("job", { hours: 24 }));
  await requestCancel(world.as("alice"), "runs");
  await world.advance(2 * MINUTE);
  const meanwhile = await viewPool(world.ctx, "h100");
  await putBack();
  await world.advance(MINUTE);

  expect([meanwhile?.head?.uid, meanwhile?.held.length]).toEqual([first.uid, 2]);
  expect((await viewPool(world.ctx, "h100"))?.head?.uid).toBe(first.uid);
});

test("reserves no single machine for a first job that needs two while its record is unreadable", async () => {
  const { world, first } = await oneOfTwoFree();

  const putBack = await makeNewer(world, first);
  const passes = await createEnvironment(world.as("carol"), newEnvironment("job", { hours: 48 }));
  await world.advance(2 * MINUTE);
  const meanwhile = await viewPool(world.ctx, "h100");
  await putBack();
  await world.advance(MINUTE);

  expect(meanwhile?.held.map(({ uid }) => uid)).toContain(passes.uid);
  expect([meanwhile?.head?.uid, (await viewPool(world.ctx, "h100"))?.head?.uid]).toEqual([first.uid, first.uid]);
});
