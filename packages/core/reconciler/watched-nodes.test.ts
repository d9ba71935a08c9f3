import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { refreshCapacity } from "../pools/capacity/capacity.ts";
import { listNodes } from "../pools/capacity/list-nodes.ts";
import type { Change, Compute } from "../ports/compute.ts";
import { runWatcher } from "./watcher-lease.ts";

/** World whose watch reports these changes, then is silent. No schedule lists the machines any more. */
async function watching(changes: readonly Change[], overrides: (compute: Compute) => Partial<Compute> = () => ({})) {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  const ending = new AbortController();
  const ended = (signal: AbortSignal) =>
    new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  const reported = Promise.withResolvers<void>();
  const compute: Compute = {
    ...world.compute,
    async *changes(signal) {
      yield* changes;
      reported.resolve();
      await ended(signal);
    },
    ...overrides(world.compute),
  };
  const { machineGroups: _, ...ports } = world.ctx;
  const clock = { ...world.clock, sleep: (_ms: number, signal?: AbortSignal) => ended(signal ?? ending.signal) };
  const start = () => runWatcher({ ...ports, compute, clock }, ending.signal);
  return {
    world,
    log,
    /** Watches until all changes are handled, and the listings that they caused. */
    async watch() {
      const running = start();
      await reported.promise;
      ending.abort();
      await running;
    },
    start,
    ending,
    reported: reported.promise,
  };
}

const toState = ({ name, state }: { readonly name: string; readonly state: string }) => `${name} ${state}`;

test("a cordoned machine is closed as soon as the watch reports a change of the nodes", async () => {
  const { world, watch } = await watching([{ nodesChanged: "all" }]);
  const before = await listNodes(world.ctx);
  const [node] = await world.compute.listNodes();
  if (node) world.compute.setNode({ ...node, ready: false, unready: "cordoned" });

  await watch();

  expect(before.map(toState)).toEqual(["h100-1 ready", "h100-2 ready"]);
  expect((await listNodes(world.ctx)).map(toState)).toEqual(["h100-1 cordoned", "h100-2 ready"]);
});

test("a failed listing after a change is logged, and the watch continues", async () => {
  const fails = async () => Promise.reject(new Error("timed out"));
  const { log, watch, world } = await watching(
    [{ nodesChanged: "all" }, { uid: "0".repeat(32), run: 1, key: "owner#a#env#gpu-dev|b" }],
    () => ({ listNodes: fails }),
  );

  await watch();

  const events = log.lines.map(({ event }) => event);
  expect(events).toContain("changed machines not listed");
  // An alarm counts these lines, and expects one a minute at most.
  expect(events).not.toContain("cluster unreachable");
  expect(world.queue.receive("work", 10).map(({ look }) => look.look)).toEqual(["owner#a#env#gpu-dev|b"]);
});

test("a listing after a change writes no marks of runs, which the schedule keeps valid", async () => {
  const { world, watch } = await watching([{ nodesChanged: "all" }]);
  await createEnvironment(world.as("ada"), newEnvironment("one"));
  await world.deliver();
  await refreshCapacity(world.ctx);
  const marks = () => world.table.all().filter(({ kind }) => kind === "run-marks");
  const before = marks();
  world.clock.advance(1_000);
  const [node] = await world.compute.listNodes();
  if (node) world.compute.setNode({ ...node, ready: false, unready: "cordoned" });

  await watch();

  expect((await listNodes(world.ctx)).map(({ state }) => state)).toEqual(["cordoned", "ready"]);
  expect(before).not.toEqual([]);
  expect(marks()).toEqual(before);
});

test("a slow listing delays no hint", async () => {
  const listing = Promise.withResolvers<void>();
  const { world, start, reported, ending } = await watching(
    [{ nodesChanged: "all" }, { uid: "0".repeat(32), run: 1, key: "owner#a#env#gpu-dev|b" }],
    (compute) => ({ listNodes: () => listing.promise.then(() => compute.listNodes()) }),
  );

  const running = start();
  await reported;
  const hinted = world.queue.receive("work", 10).map(({ look }) => look.look);
  ending.abort();
  listing.resolve();
  await running;

  expect(hinted).toEqual(["owner#a#env#gpu-dev|b"]);
});

test("a waiting job gets the new machine that the watch reports", async () => {
  const { world, watch } = await watching([{ nodesChanged: "all" }]);
  const user = world.as("ada");
  for (const id of ["one", "two", "three"]) {
    await createEnvironment(user, newEnvironment(id));
    await world.deliver();
  }
  // The schedule lists now, and not again within a minute.
  await world.advance(10_000);
  const waits = (await world.read("ada", "three")).phase;
  for (const node of newNodes({ h100: 3 }).slice(2)) world.compute.setNode(node);

  await watch();
  await world.advance(5_000);

  expect([waits, (await world.read("ada", "three")).phase]).toEqual(["queued", "active"]);
});

test("lists only the machines that the watch names, and leaves the others to the schedule", async () => {
  const { world, watch } = await watching([{ nodesChanged: new Set(["h100-1"]) }]);
  for (const node of await world.compute.listNodes()) {
    world.compute.setNode({ ...node, ready: false, unready: "cordoned" });
  }

  await watch();
  const afterWatch = await listNodes(world.ctx);
  await refreshCapacity(world.ctx);

  expect(afterWatch.map(toState)).toEqual(["h100-1 cordoned", "h100-2 ready"]);
  expect((await listNodes(world.ctx)).map(toState)).toEqual(["h100-1 cordoned", "h100-2 cordoned"]);
});

test("a machine that registers before its GPUs counts as soon as the watch shows them", async () => {
  const { world, watch } = await watching([{ nodesChanged: new Set(["h100-3"]) }]);
  const [, , added] = newNodes({ h100: 3 });
  if (!added) throw new Error("there is no third machine");
  world.compute.setNode({ ...added, units: 0 });
  await refreshCapacity(world.ctx);
  const withoutGpus = await listNodes(world.ctx);
  world.compute.setNode(added);

  await watch();

  expect(withoutGpus.map(toState)).toEqual(["h100-1 ready", "h100-2 ready"]);
  expect((await listNodes(world.ctx)).map(toState)).toEqual(["h100-1 ready", "h100-2 ready", "h100-3 ready"]);
});

test("a machine counts again as soon as its device plugin has restarted", async () => {
  const { world, watch } = await watching([{ nodesChanged: new Set(["h100-2"]) }]);
  const [, second] = await world.compute.listNodes();
  if (!second) throw new Error("there is no second machine");
  world.compute.setNode({ ...second, units: 0 });
  await refreshCapacity(world.ctx, "watcher", new Set(["h100-2"]));
  const withoutGpus = await listNodes(world.ctx);
  world.compute.setNode(second);

  await watch();

  expect(withoutGpus.map(toState)).toEqual(["h100-1 ready"]);
  expect((await listNodes(world.ctx)).map(toState)).toEqual(["h100-1 ready", "h100-2 ready"]);
});

test.each([
  { subject: "of it", nodesChanged: new Set(["h100-2"]) },
  { subject: "of all machines", nodesChanged: "all" as const },
])(
  "a machine that replaced another of its name counts with the listing $subject that removes the other",
  async ({ nodesChanged }) => {
    const { world, watch } = await watching([{ nodesChanged }]);
    const [, second] = await world.compute.listNodes();
    if (!second) throw new Error("there is no second machine");
    world.compute.removeNode(second.name);
    world.compute.setNode({ ...second, uid: "uid-replaced", providerId: "aws:///us-east-1a/i-replaced" });

    await watch();

    const known = world.table.all().filter(({ kind, name }) => kind === "node" && name === second.name);
    expect(known.map(({ uid }) => uid)).toEqual(["uid-replaced"]);
  },
);

test("a machine that the cluster deleted between the change and the listing gets no jobs, and keeps what jobs hold", async () => {
  const { world, watch } = await watching([{ nodesChanged: new Set(["h100-1", "h100-2"]) }]);
  await createEnvironment(world.as("ada"), newEnvironment("one"));
  await world.deliver();
  const [node] = (await world.read("ada", "one")).run.grant?.shares.map((share) => share.node) ?? [];
  for (const name of ["h100-1", "h100-2"]) world.compute.removeNode(name);

  await watch();

  expect((await listNodes(world.ctx)).map(({ name, state }) => [name, state])).toEqual([[node, "gone"]]);
});
