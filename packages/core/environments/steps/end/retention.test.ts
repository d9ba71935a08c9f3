import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import type { UserContext } from "../../../context.ts";
import type { Item } from "../../../ports/table.ts";
import { reconcile } from "../../../reconciler/reconcile.ts";
import { endedKey, endedPartition, environmentKey } from "../../../store/keys.ts";
import { findEnvironment, listEnvironments, MOST_KEPT } from "../../record/read.ts";
import { type Environment, isEnded } from "../../record/record.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";
import { removeAllButNewest } from "./retention.ts";

const SECOND = 1_000;
const DAY = 24 * 3_600 * SECOND;

/** Ids without an order in time: the first one made is neither first nor last by name. */
const formatId = (n: number) => `job-${(n * 7_919) % 10_007}`;

/** Creates reservations that were cancelled one second after another and had their reconciles after the end. */
async function endedWorld(
  count: number,
): Promise<{ world: MemoryWorld; alice: UserContext<"table" | "queue" | "sealer"> }> {
  const world = await memoryWorld({ nodes: [] });
  const alice = world.as("alice");
  for (let n = 0; n < count; n++) {
    await createEnvironment(alice, newEnvironment(formatId(n)));
    await requestCancel(alice, formatId(n));
    await reconcile(world.ctx, { look: recordKeyFor(alice, formatId(n)) });
    world.clock.advance(SECOND);
  }
  await world.advance(20 * 60 * SECOND);
  return { world, alice };
}

function recordKeyFor(alice: UserContext, id: string): string {
  const { pk, sk } = environmentKey(alice.actor.uid, "gpu-dev", id);
  return `${pk}|${sk}`;
}

function headsIn(world: MemoryWorld): Environment[] {
  return world.table.all().filter(({ kind }) => kind === "environment") as unknown as Environment[];
}

test("the newest 1,000 of 1,100 ended environments are kept, and the others leave nothing", async () => {
  const { world, alice } = await endedWorld(1_100);
  await createEnvironment(alice, newEnvironment("lives"));

  const heads = headsIn(world).filter(isEnded);

  const newest = Array.from({ length: 1_000 }, (_, n) => formatId(n + 100)).toSorted();
  expect(heads.map(({ id }) => id).toSorted()).toEqual(newest);
  expect((await listEnvironments(alice)).shown.map(({ id }) => id).toSorted()).toEqual(["lives", ...newest].toSorted());
  expect(await findEnvironment(alice, formatId(0))).toBeUndefined();
  const listed = world.table.all().filter(({ pk }) => pk === endedPartition(alice.actor.uid, "gpu-dev"));
  expect(listed).toHaveLength(1_000);
  const left = world.table.all().filter(({ kind }) => kind === "spec" || kind === "access");
  expect(left).toHaveLength(1);
});

test("an unreadable or unfinished environment is not removed, however many ended after it", async () => {
  const { world, alice } = await endedWorld(4);
  const [unreadable, early, old, newest] = await Promise.all([0, 1, 2, 3].map((n) => world.read("alice", formatId(n))));
  await world.table.put({ ...unreadable, phase: "of a later version" } as Item);
  await world.table.put({ ...early, end: { ...early?.end, cleanLooks: 1 } } as Item);
  for (let n = 0; n < MOST_KEPT; n++) {
    const key = endedKey(alice.actor.uid, "gpu-dev", Number(newest?.end.at) + n, `later-${n}`);
    await world.table.put({ ...key, writers: [], kind: "ended", head: `later-${n}`, uid: `later-${n}` } as Item);
  }

  await removeAllButNewest(world.ctx, newest as Environment);

  const left = headsIn(world).map(({ id }) => id);
  expect(left.toSorted()).toEqual([unreadable, early].map((environment) => environment?.id).toSorted());
  expect(old?.phase).toBe("cancelled");
});

test("the removal of an environment keeps a later one with the same id, even if that has ended too", async () => {
  const { world, alice } = await endedWorld(2);
  const [reused, newest] = await Promise.all([0, 1].map((n) => world.read("alice", formatId(n))));
  const former = { ...endedKey(alice.actor.uid, "gpu-dev", 1, "former"), head: reused?.sk, uid: "former" };
  await world.table.put({ ...former, writers: [], kind: "ended" } as Item);
  for (let n = 0; n < MOST_KEPT - 2; n++) {
    const key = endedKey(alice.actor.uid, "gpu-dev", Number(newest?.end.at) + n, `later-${n}`);
    await world.table.put({ ...key, writers: [], kind: "ended", head: `later-${n}`, uid: `later-${n}` } as Item);
  }

  await removeAllButNewest(world.ctx, newest as Environment);

  expect(await world.table.get(former)).toBeUndefined();
  expect(headsIn(world).map(({ uid }) => uid)).toContain(reused?.uid);
});

test("an ended environment is shown for 90 days", async () => {
  const { world, alice } = await endedWorld(1);
  const ended = await world.read("alice", formatId(0));

  world.clock.advance(90 * DAY - (world.clock.now() - Number(ended.end.at)) - SECOND);
  const { shown: before } = await listEnvironments(alice);
  world.clock.advance(2 * SECOND);

  expect(before).toHaveLength(1);
  expect((await listEnvironments(alice)).shown).toEqual([]);
  expect(await findEnvironment(alice, formatId(0))).toBeUndefined();
});
