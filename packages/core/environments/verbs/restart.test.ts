import { describe, expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes, type WorldOptions } from "#tests/worlds/memory-world.ts";
import { specKey } from "../../store/keys.ts";
import { type Policy, reservation } from "../record/policy.ts";
import { toKey } from "../record/record.ts";
import { readSpec } from "../record/spec.ts";
import { waitForEnvironment } from "../record/wait.ts";
import { requestCancel } from "./actions.ts";
import { createEnvironment, type NewEnvironment } from "./create.ts";
import { requestDelete } from "./delete.ts";
import { requestStart } from "./start.ts";
import { requestStop } from "./stop.ts";

const MINUTE = 60_000;
const restartable: Policy = { ...reservation, time: "none", restarts: true };

function session(id: string, more: Partial<NewEnvironment> = {}): NewEnvironment {
  const volumes = [{ name: "workspace", path: "/workspace", sizeGb: 5 }];
  return { ...newEnvironment(id), policy: restartable, volumes, ...more };
}

async function activeWorld(more: Partial<NewEnvironment> = {}, options: WorldOptions = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), ...options });
  const alice = world.as("alice");
  await createEnvironment(alice, session("one", more));
  await world.deliver();
  return { world, alice, first: await world.read("alice", "one") };
}

describe("stop and start", () => {
  test("an environment is stopped and started again on the same volume, and has no end time", async () => {
    const { world, alice, first } = await activeWorld();
    expect(first).toMatchObject({ phase: "active", run: { n: 1 }, starts: 0, times: { endsAt: null } });

    const environment = await requestStop(alice, "one", { reason: "for the night" });
    await world.advance(5000);
    const stopped = await world.read("alice", "one");
    await requestStart(alice, "one");
    await world.advance(5000);

    const second = await world.read("alice", "one");
    expect(environment).toMatchObject({ phase: "stopping", goal: { desired: "stopped" }, reason: "for the night" });
    expect(stopped).toMatchObject({ phase: "stopped", run: { grant: null }, reason: "for the night" });
    expect(second).toMatchObject({ phase: "active", run: { n: 2 }, starts: 1, volumes: first.volumes });
    expect(world.volumes.history().map(({ kind }) => kind)).toEqual(["created"]);
    expect(world.compute.mounting(first.volumes[0]?.volume?.id ?? "")).toEqual([{ uid: first.uid, run: 2 }]);
  });

  test("a stopped environment cannot be cancelled, and one cancelled while it stops ends as cancelled", async () => {
    const { world, alice } = await activeWorld();
    await requestStop(alice, "one");
    await world.advance(5000);
    await expect(requestCancel(alice, "one")).rejects.toMatchObject({
      kind: "conflict",
      message: "Cannot cancel job one in status stopped",
    });
    await requestStart(alice, "one");
    await world.advance(5000);

    await requestStop(alice, "one");
    await requestCancel(alice, "one");
    await world.advance(5000);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", attempts: 0 });
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("stop and start are idempotent", async () => {
    const { world, alice } = await activeWorld();

    const started = await requestStart(alice, "one");
    const once = await requestStop(alice, "one");
    const twice = await requestStop(alice, "one");

    expect(started).toMatchObject({ phase: "active", run: { n: 1 } });
    expect(twice.writers).toEqual(once.writers);
    await world.advance(5000);
    expect(await requestStop(alice, "one")).toMatchObject({ phase: "stopped" });
  });

  test("a waiting environment is stopped without compute and does not delay the next in the queue", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    const alice = world.as("alice");
    for (const id of ["one", "two", "three"]) {
      await createEnvironment(alice, session(id));
      world.clock.advance(1);
    }
    await world.deliver();

    expect((await requestStop(alice, "two")).phase).toBe("stopped");
    await requestStop(alice, "one");
    await world.advance(5000);

    expect((await world.read("alice", "three")).phase).toBe("active");
    expect(await world.read("alice", "two")).toMatchObject({ phase: "stopped", run: { n: 1, preparingAt: null } });
  });

  test("an environment that is being prepared releases its capacity and keeps its volumes", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays: { imageMs: MINUTE } });
    await createEnvironment(world.as("alice"), session("one"));
    await world.advance(5000);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "preparing", step: "image" });

    await requestStop(world.as("alice"), "one");
    await world.advance(5000);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "stopped", run: { error: null } });
    expect(world.volumes.volumeIds()).toHaveLength(1);
    expect(world.compute.liveUnits("h100-1")).toBe(0);
  });

  test("a start while it is being stopped is remembered, and a stop after that forgets it", async () => {
    const { world, alice, first } = await activeWorld();
    world.compute.program(first.uid, { kind: "lives" }, { ignoresTerm: true });
    await requestStop(alice, "one");
    await requestStart(alice, "one");
    await requestStop(alice, "one");
    await world.advance(20_000);
    expect((await world.read("alice", "one")).phase).toBe("stopped");

    await requestStart(alice, "one");
    await world.advance(5000);
    await requestStop(alice, "one");
    const remembered = await requestStart(alice, "one", { name: "another" });
    await world.advance(20_000);

    expect(remembered).toMatchObject({ phase: "stopping", goal: { desired: "active" } });
    expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { n: 3 }, name: "another" });
  });

  test("a start with another environment writes a new specification and removes the old one", async () => {
    const { world, alice, first } = await activeWorld({ env: { A: "1" }, command: "serve" });
    await requestStop(alice, "one");
    await world.advance(5000);

    await requestStart(alice, "one", { env: { B: "2" } });
    await world.advance(5000);

    const second = await world.read("alice", "one");
    const key = toKey(second);
    expect(second).toMatchObject({ phase: "active", hasCommand: true });
    expect(await readSpec(world.ctx, key, second.spec ?? "")).toMatchObject({ env: { B: "2" }, command: "serve" });
    expect(await world.table.get(specKey(key, first.spec ?? ""))).toBeUndefined();
  });

  test("a stop removes the secrets if the policy says so", async () => {
    const { world, alice, first } = await activeWorld({ policy: { ...restartable, forgetsSpec: true } });

    await requestStop(alice, "one");
    await world.advance(5000);

    expect((await world.read("alice", "one")).spec).toBeNull();
    expect(await world.table.get(specKey(toKey(first), first.uid))).toBeUndefined();
  });

  test("a stopped environment is reconciled twice, and is then no longer due", async () => {
    const { world, alice } = await activeWorld();
    await requestStop(alice, "one");

    await world.advance(15 * MINUTE);

    const done = await world.read("alice", "one");
    expect(done).toMatchObject({ phase: "stopped", end: { cleanLooks: 1 } });
    expect([done.dueAt, done.ttl]).toEqual([undefined, undefined]);
    await requestStart(alice, "one");
    await world.advance(5000);
    expect((await world.read("alice", "one")).phase).toBe("active");
  });

  test("late objects of an earlier run are removed although a later one runs", async () => {
    const size = newEnvironment("x", { gpus: 4 }).size;
    const { world, alice, first } = await activeWorld({ volumes: [], size }, { leavesTombstones: false });
    const [old] = world.compute.history();
    await requestStop(alice, "one");
    await requestStart(alice, "one");
    await world.advance(45_000);
    const now = await world.read("alice", "one");
    await world.compute.apply({
      uid: first.uid,
      run: 1,
      key: "",
      name: "one",
      pool: "h100",
      instanceType: "p5.48xlarge",
      image: "",
      command: undefined,
      env: {},
      shares: first.run.grant?.shares ?? [],
      gpusPerMachine: 4,
      mounts: [],
      ports: [],
      resources: null,
      until: world.clock.now() + 60 * MINUTE,
    });

    await world.advance(40_000);

    expect([old?.run, now.run.n]).toEqual([1, 2]);
    expect(world.compute.isLive(first.uid, 1)).toBe(false);
    expect(world.compute.isLive(first.uid, 2)).toBe(true);
  });

  test("a reservation can be neither stopped nor started", async () => {
    const world = await memoryWorld();
    await createEnvironment(world.as("alice"), newEnvironment("one"));

    await expect(requestStop(world.as("alice"), "one")).rejects.toMatchObject({ kind: "conflict" });
    await expect(requestStart(world.as("alice"), "one")).rejects.toMatchObject({ kind: "conflict" });
  });
});

describe("faults of a restartable environment", () => {
  test.each([0, 3])(
    "a command that ends with %i leaves it stopped with the reason, ready to be started",
    async (code) => {
      const { world, alice, first } = await activeWorld({ command: "serve" });
      world.compute.program(first.uid, { kind: "exits", code, afterMs: 3000 });
      await requestStop(alice, "one");
      await requestStart(alice, "one");
      await world.advance(20_000);
      const broken = await world.read("alice", "one");

      world.compute.program(first.uid, { kind: "lives" });
      await requestStart(alice, "one");
      await world.advance(5000);

      expect(broken).toMatchObject({
        phase: "stopped",
        goal: { desired: "stopped" },
        run: { error: `command exited with code ${code}` },
      });
      expect(await world.read("alice", "one")).toMatchObject({ phase: "active", run: { error: null } });
    },
  );

  test("missing compute is a fault as well", async () => {
    const { world, first } = await activeWorld();

    await world.compute.remove(first.uid, 1, { graceSeconds: 0, force: true });
    await world.advance(40_000);

    const reason = "Its compute was deleted in the cluster, but not by Berth";
    expect(await world.read("alice", "one")).toMatchObject({ phase: "stopped", run: { error: reason }, reason });
  });

  test("an environment that is not active in the time of its policy, including the queue, is given up", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    const policy = { ...restartable, readyWithinMs: 10 * MINUTE };
    await createEnvironment(world.as("bob"), newEnvironment("big"));
    await world.deliver();
    await createEnvironment(world.as("alice"), session("one", { policy }));

    await world.advance(10 * MINUTE + 5000);

    const late = await world.read("alice", "one");
    expect(late.phase).toBe("stopped");
    expect(late.run.error).toMatch(/^Not ready after 10 minutes, in the queue/);
    expect(late.end.at).toBeLessThanOrEqual(late.queuedAt + 10 * MINUTE + 3000);
  });

  test("a failed first run leaves nothing under that policy, and the id is free again", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    const alice = world.as("alice");
    const input = session("one", { policy: { ...restartable, firstFailure: "clears" }, addressLabel: "ws-one" });
    const made = await createEnvironment(alice, input);
    world.compute.program(made.uid, { kind: "imageFails", reason: "Image not found" });
    await world.advance(5000);
    expect(await world.read("alice", "one")).toMatchObject({ phase: "stopped", run: { error: "Image not found" } });
    expect(world.volumes.volumeIds()).toEqual([]);
    await expect(requestStart(alice, "one")).rejects.toMatchObject({ kind: "conflict" });

    await createEnvironment(alice, input);
    await world.advance(5000);

    const anew = await world.read("alice", "one");
    expect(anew).toMatchObject({ phase: "active", run: { n: 1 }, starts: 0 });
    expect(anew.uid).not.toBe(made.uid);
  });

  test("a later failed run keeps everything under any policy", async () => {
    const { world, alice, first } = await activeWorld({ policy: { ...restartable, firstFailure: "clears" } });
    world.compute.program(first.uid, { kind: "imageFails", reason: "Image not found" });
    await requestStop(alice, "one");
    await requestStart(alice, "one");

    await world.advance(5000);

    expect((await world.read("alice", "one")).run.error).toBe("Image not found");
    expect(world.volumes.volumeIds()).toHaveLength(1);
  });
});

describe("a time limit from the creation", () => {
  const policy: Policy = { ...reservation, time: "creation" };

  test("ends an environment that long after its request, with its volumes", async () => {
    const { world, first } = await activeWorld({ policy });
    expect(first.times.endsAt).toBe(first.createdAt + 60 * MINUTE);

    await world.advance(60 * MINUTE + 2000);

    expect((await world.read("alice", "one")).phase).toBe("expired");
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("ends an environment in the queue too, within a few seconds", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    await createEnvironment(world.as("bob"), newEnvironment("big", { hours: 5 }));
    await world.deliver();
    await createEnvironment(world.as("alice"), session("one", { policy }));

    await world.advance(60 * MINUTE + 5000);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "expired", run: { preparingAt: null } });
  });
});

describe("waiting", () => {
  test("a waiting call answers as soon as the state is reached, and with the current state when its budget is spent", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays: { imageMs: 10_000 } });
    const alice = world.as("alice");
    await createEnvironment(alice, session("one"));
    const begun = world.clock.now();

    const early = await waitForEnvironment(alice, "one", (environment) => environment?.phase === "active", 4000);
    const spent = world.clock.now() - begun;
    const active = await waitForEnvironment(alice, "one", (environment) => environment?.phase === "active");

    expect([early?.phase, active?.phase]).toEqual(["preparing", "active"]);
    expect(spent).toBe(4000);
    expect(world.clock.now() - begun).toBeLessThan(20_000);
  });

  test("a deleted environment is gone for a waiting call", async () => {
    const { alice } = await activeWorld();
    await requestDelete(alice, "one");

    expect(await waitForEnvironment(alice, "one", (environment) => environment === undefined)).toBeUndefined();
  });
});
