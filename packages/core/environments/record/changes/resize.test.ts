import { expect, test } from "vitest";
import { applyLate } from "#tests/faults/late-apply.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { reconcile } from "../../../reconciler/reconcile.ts";
import { createEnvironment } from "../../verbs/create.ts";
import { requestStart } from "../../verbs/start.ts";
import { requestStop } from "../../verbs/stop.ts";
import { reservation } from "../policy.ts";
import { requestResize } from "./resize.ts";

const small = { cpus: 1, memoryMb: 1024 };
const large = { cpus: 2, memoryMb: 2048 };

async function activeWorld(delays: object = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays });
  const policy = { ...reservation, time: "none", restarts: true } as const;
  const made = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy, resources: small });
  await world.deliver();
  return { world, alice: world.as("alice"), uid: made.uid };
}

test("a running environment gets its new limits in place, and the request is closed", async () => {
  const { world, alice, uid } = await activeWorld();

  const environment = await requestResize(alice, "one", large);
  await world.advance(2000);

  expect(environment).toMatchObject({
    resources: large,
    requests: { list: [{ kind: "resize", status: "requested" }] },
  });
  expect(world.compute.resources(uid, 1)).toEqual(large);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", requests: { list: [{ status: "done" }] } });
});

test("a request for the present limits changes nothing", async () => {
  const { alice } = await activeWorld();

  const before = await requestResize(alice, "one", small);

  expect(before.requests.list).toEqual([]);
});

test("a stopped environment keeps the new limits for its next run", async () => {
  const { world, alice, uid } = await activeWorld();
  await requestStop(alice, "one");
  await world.advance(5000);

  const environment = await requestResize(alice, "one", large);
  await requestStart(alice, "one");
  await world.advance(5000);

  expect(environment.requests.list).toMatchObject([{ kind: "resize", status: "done" }]);
  expect(world.compute.resources(uid, 2)).toEqual(large);
});

test("limits requested while preparing apply once the run is active", async () => {
  const { world, alice, uid } = await activeWorld({ imageMs: 5000 });
  expect((await world.read("alice", "one")).phase).toBe("preparing");

  await requestResize(alice, "one", large);
  await world.advance(20_000);

  expect(world.compute.resources(uid, 1)).toEqual(large);
  expect((await world.read("alice", "one")).requests.list).toMatchObject([{ status: "done" }]);
});

test("limits requested while the run is being created apply although it was created with the earlier ones", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  applyLate(world.compute);
  const policy = { ...reservation, time: "none", restarts: true } as const;
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy, resources: small });
  await world.deliver();

  await requestResize(world.as("alice"), "one", large);
  await world.advance(10_000);

  expect(world.compute.resources(uid, 1)).toEqual(large);
  expect((await world.read("alice", "one")).requests.list).toMatchObject([{ status: "done" }]);
});

test("an abandoned call that takes effect late undoes no newer limits", async () => {
  const { world, alice, uid } = await activeWorld();
  const { resize } = world.compute;
  let late: () => Promise<void> = () => Promise.reject(new Error("nothing was resized"));
  world.ctx.compute.resize = async (...input) => {
    late = () => resize(...input);
    throw new Error("no answer in 5 s");
  };
  await requestResize(alice, "one", { cpus: 3, memoryMb: 3072 });
  await world.deliver();
  world.ctx.compute.resize = resize;
  await requestResize(alice, "one", large);
  await world.advance(10_000);

  await late();

  expect(world.compute.resources(uid, 1)).toEqual(large);
});

test("limits that cannot be changed are given up after a few tries, and the run continues as before", async () => {
  const { world, alice } = await activeWorld();
  world.ctx.compute.resize = () => Promise.reject(new Error("not in place"));

  await requestResize(alice, "one", large);
  await world.advance(60_000);

  const kept = await world.read("alice", "one");
  expect(kept).toMatchObject({ phase: "active", resources: small });
  expect(kept.requests.list).toMatchObject([{ status: "failed", reason: "Its limits could not be changed" }]);
});

test("limits that cannot be changed now are not given up sooner because of signals", async () => {
  const { world, alice } = await activeWorld();
  const { pk, sk } = await requestResize(alice, "one", large);
  const resize = async () => {
    throw new Error("refused");
  };
  const refusing = { ...world.ctx, compute: { ...world.compute, resize } };

  for (let n = 0; n < 100; n++) await reconcile(refusing, { look: `${pk}|${sk}`, hint: true });
  const meanwhile = await world.read("alice", "one");
  await world.advance(10_000);

  expect(meanwhile).toMatchObject({
    run: { resizing: { tries: 1 } },
    resources: large,
    requests: { list: [{ status: "requested" }] },
  });
  expect((await world.read("alice", "one")).requests.list).toMatchObject([{ status: "done" }]);
});

test("limits keep all their tries even after an unrelated failure", async () => {
  const { world, alice } = await activeWorld();
  const { pk, sk } = await requestResize(alice, "one", large);
  const away = async () => {
    throw new Error("away");
  };
  const unseeing = { ...world.ctx, compute: { ...world.compute, observe: away } };
  for (let n = 0; n < 3; n++) {
    await reconcile(unseeing, { look: `${pk}|${sk}` });
    world.clock.advance(10_000);
  }
  const refusing = { ...world.ctx, compute: { ...world.compute, resize: away } };

  await reconcile(refusing, { look: `${pk}|${sk}`, hint: true });

  expect((await world.read("alice", "one")).requests.list).toMatchObject([{ kind: "resize", status: "requested" }]);
  await world.advance(10_000);
  expect((await world.read("alice", "one")).requests.list).toMatchObject([{ status: "done" }]);
});

test("limits never exceed the granted share of the machine", async () => {
  const { alice } = await activeWorld();

  await expect(requestResize(alice, "one", { cpus: 9, memoryMb: 1024 })).rejects.toMatchObject({ kind: "invalid" });
});

/** An environment with one of 16 vCPUs on a shared machine, during its stop. */
async function stoppingWorld() {
  const world = await memoryWorld({ nodes: newNodes({ "cpu-shared": 1 }), delays: { removeMs: 5_000 } });
  const alice = world.as("alice");
  const size = (units: number) => ({ ...newEnvironment("one", { pool: "cpu-shared", gpus: 0 }).size, units });
  const policy = { ...reservation, time: "none", restarts: true } as const;
  const resources = { cpus: 16, memoryMb: 4096 };
  const { uid } = await createEnvironment(alice, { ...newEnvironment("one"), size: size(16), policy, resources });
  await world.advance(5_000);
  await requestStop(alice, "one");
  await world.advance(1_000);
  return { world, alice, size, resourcesOf: (run: number) => world.compute.resources(uid, run) };
}

test("during a stop, the size of a remembered start is the limit", async () => {
  const { world, alice, size, resourcesOf } = await stoppingWorld();
  await requestStart(alice, "one", { size: size(1), resources: small });

  const refused = requestResize(alice, "one", { cpus: 2, memoryMb: 1024 });

  await expect(refused).rejects.toMatchObject({ kind: "invalid" });
  await world.advance(30_000);
  expect(resourcesOf(2)).toEqual(small);
});

test("a start never exceeds its share of the machine, even after a dropped start with larger limits", async () => {
  const { world, alice, size, resourcesOf } = await stoppingWorld();
  await requestStart(alice, "one", { size: size(24), resources: { cpus: 24, memoryMb: 98_304 } });
  await requestStop(alice, "one");

  await requestStart(alice, "one");
  await world.advance(30_000);

  expect(resourcesOf(2)).toEqual({ cpus: 16, memoryMb: 65_536 });
});
