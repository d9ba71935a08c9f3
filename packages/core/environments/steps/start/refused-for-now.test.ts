import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { RunNotTaken } from "../../../problem.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const QUOTA = "The quota gpus of the cluster is used up";
const refusing = { kind: "neverBinds", reason: QUOTA, refusedForNow: true } as const;

async function submitted(world: MemoryWorld, id: string, gpus = 8): Promise<string> {
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment(id, { gpus }));
  world.compute.program(uid, refusing);
  return uid;
}

describe("a run whose pod the cluster refuses for now", () => {
  test("waits through an evening, shows why, and starts once the refusal is over", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    const uid = await submitted(world, "one");
    await world.advance(5 * HOUR);
    const waiting = await world.read("alice", "one");

    world.compute.program(uid, { kind: "lives" });
    await world.advance(15 * MINUTE);

    expect(waiting).toMatchObject({ phase: expect.stringMatching(/queued|preparing/), placement: { withdrawals: 0 } });
    expect(waiting.reason ?? waiting.events.timeline.at(-1)?.reason).toContain(QUOTA);
    const active = await world.read("alice", "one");
    expect(active).toMatchObject({ phase: "active", reason: null, placement: { withdrawals: 0 } });
    expect(active.placement.refusals).toBeUndefined();
    expect(world.compute.starts(uid, active.run.n)).toBe(1);
  });

  test("sets no machine aside, so another job starts there at once", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    await submitted(world, "one");
    await world.advance(90_000);
    const waiting = await world.read("alice", "one");

    await createEnvironment(world.as("bob"), newEnvironment("two"));
    await world.advance(5_000);

    expect(waiting).toMatchObject({ phase: "queued", reason: QUOTA, placement: { withdrawn: { nodes: [] } } });
    expect(await world.read("bob", "two")).toMatchObject({ phase: "active" });
  });

  test("pauses for longer each time, at most ten minutes, and holds no units meanwhile", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    const uid = await submitted(world, "one");
    const applied: number[] = [];
    const { apply } = world.compute;
    world.compute.apply = (run) => {
      applied.push(world.clock.now());
      return apply(run);
    };

    for (let minutes = 0; minutes < 120; minutes++) await world.advance(MINUTE);

    const pauses = applied.slice(1).map((at, n) => at - (applied[n] ?? 0));
    expect(pauses.length).toBeLessThan(20);
    expect(pauses.length).toBeGreaterThan(8);
    expect(pauses[2] ?? 0).toBeGreaterThan(pauses[0] ?? 0);
    expect(Math.max(...pauses)).toBeLessThan(14 * MINUTE);
    expect(world.compute.starts(uid, 1)).toBe(0);
    const { phase, run } = await world.read("alice", "one");
    if (phase === "queued") expect([run.grant, (await viewPool(world.ctx, "h100"))?.held]).toEqual([null, []]);
  });

  test("is cancelled at once while it pauses", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    await submitted(world, "one");
    await world.advance(90_000);

    await requestCancel(world.as("alice"), "one");
    await world.advance(1_000);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
  });

  test("leaves the queue at its limit, and shows what it waited for", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { maxQueueHours: 1 } });
    await submitted(world, "one");
    await createEnvironment(world.as("bob"), newEnvironment("other", { hours: 10 }));

    for (let minutes = 0; minutes < 150; minutes++) await world.advance(MINUTE);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled" });
  });

  test("on two machines returns to the queue as a whole, although one of them has its pod", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
    const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 16 }));
    world.compute.program(uid, { ...refusing, first: 1 });

    await world.advance(90_000);

    expect(await world.read("alice", "one")).toMatchObject({
      phase: "queued",
      reason: QUOTA,
      placement: { withdrawals: 0, withdrawn: { nodes: [] } },
    });
    expect(await world.compute.listRuns()).toEqual([]);
  });

  test("waits in line for the zone of its own volumes", async () => {
    const zones = ["zone-a", "zone-b"];
    const nodes = newNodes({ h100: 2 }).map((node, at) => ({ ...node, zone: zones[at] ?? "" }));
    const world = await memoryWorld({ nodes });
    const volumes = [{ name: "workspace", path: "/workspace", sizeGb: 5 }];
    const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), volumes });
    world.compute.program(uid, refusing);
    await world.advance(90_000);
    const paused = await world.read("alice", "one");
    const zone = paused.volumes[0]?.volume?.zone;
    const near = nodes.find((node) => node.zone === zone);
    if (near) world.compute.setNode({ ...near, ready: false, unready: "cordoned" });

    world.compute.program(uid, { kind: "lives" });
    await world.advance(15 * MINUTE);
    const waiting = await world.read("alice", "one");
    if (near) world.compute.setNode(near);
    await world.advance(5 * MINUTE);

    expect([paused.phase, paused.waitPool, zone]).toEqual(["queued", undefined, "zone-a"]);
    expect(waiting).toMatchObject({ phase: "queued", waitPool: "h100", zone: "zone-a" });
    expect(await world.read("alice", "one")).toMatchObject({
      phase: "active",
      run: { machines: [{ name: "h100-1" }] },
    });
  });

  test("is no longer checked for refusals once it was bound while returning", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    const uid = await submitted(world, "one");
    await world.advance(30_000);
    world.compute.program(uid, { kind: "lives" });
    await world.advance(10 * MINUTE);

    const { phase, run } = await world.read("alice", "one");
    expect([phase, run.refusedForNow]).toEqual(["active", undefined]);
  });
});

test("a run with refused objects returns to the queue, and is retried for hours", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const { apply } = world.compute;
  world.compute.apply = () => Promise.reject(new RunNotTaken("the quota jobs of the cluster is used up"));
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(90_000);
  const waiting = await world.read("alice", "one");
  await world.advance(3 * HOUR);

  world.compute.apply = apply;
  await world.advance(15 * MINUTE);

  const words = "The cluster did not accept the run: the quota jobs of the cluster is used up";
  expect(waiting).toMatchObject({ phase: "queued", reason: words, placement: { withdrawals: 0 } });
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", placement: { withdrawals: 0 } });
});

test("a run that is unbound for another reason fails after three tries, as before", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 3 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/3 nodes are available" });

  await world.advance(10 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({
    phase: "failed",
    reason: expect.stringMatching(/^No machine could start it, 3 times: /),
  });
});
