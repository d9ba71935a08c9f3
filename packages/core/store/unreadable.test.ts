import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { compareOrphans, readOrphans } from "../admin/orphans.ts";
import { changeInbox } from "../chat/inbox.ts";
import type { Holder } from "../disks/record.ts";
import { deleteDisk } from "../disks/requests.ts";
import { listDisks } from "../disks/view.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { pauseAdmission, readAdmission } from "../pools/admission/admission.ts";
import { readCapacity, readClusterStatus } from "../pools/admission/availability.ts";
import type { Item } from "../ports/table.ts";
import { reconcile } from "../reconciler/reconcile.ts";
import { admissionKey, chatKey, environmentKey, hostKey, keyText, poolKey, specKey } from "./keys.ts";
import { FORMAT } from "./unreadable.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** Overwrites fields of a record, as a newer version, an incomplete copy or an edit by hand would. */
async function edit(world: MemoryWorld, owner: string, id: string, fields: Record<string, unknown>): Promise<void> {
  const item = await world.table.get(environmentKey(world.as(owner).actor.uid, "gpu-dev", id));
  if (!item) throw new Error(`No record ${id}`);
  await world.table.put({ ...item, ...fields });
}

async function oneNode(options: Parameters<typeof memoryWorld>[0] = {}): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), ...options });
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 3 }));
  await world.advance(MINUTE);
  return world;
}

test("a job with an unreadable record keeps its GPUs: no other job is started on them", async () => {
  const world = await oneNode();
  await edit(world, "alice", "one", { phase: "hibernating" });
  await createEnvironment(world.as("bob"), newEnvironment("two"));

  await world.advance(10 * MINUTE);

  const pool = await viewPool(world.ctx, "h100");
  expect((await world.read("bob", "two")).phase).toBe("queued");
  expect(pool?.held.map(({ key }) => key.split("|")[1])).toEqual(["one"]);
});

test("a grant with an unreadable record is kept until it is readable", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const deaf = { ...world.ctx, queue: { ...world.queue, send: async () => {} } };
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const { planPools } = await import("../pools/plan/planner.ts");
  await planPools(deaf, [{ look: "pool#h100|-", for: [`${environment.pk}|${environment.sk}`] }]);
  for (const message of world.queue.receive("pools", 10)) world.queue.acknowledge("pools", message.id);
  await edit(world, "alice", "one", { phase: "hibernating" });

  await world.advance(10 * MINUTE);
  expect((await viewPool(world.ctx, "h100"))?.granted.map(({ uid }) => uid)).toEqual([environment.uid]);

  await edit(world, "alice", "one", { phase: "queued", dueAt: world.clock.now() });
  await world.advance(3 * MINUTE);
  expect((await world.read("alice", "one")).phase).toBe("active");
});

test("a job keeps its GPUs after a failed batch read of its record: a failure is not absence", async () => {
  const world = await oneNode();
  await createEnvironment(world.as("bob"), newEnvironment("two"));
  const getMany: typeof world.table.getMany = async (keys) => {
    if (keys.some(({ pk }) => pk.startsWith("owner#"))) throw new Error("throttled");
    return world.table.getMany(keys);
  };
  const { planPools } = await import("../pools/plan/planner.ts");
  world.clock.advance(2 * MINUTE);

  const late = { ...world.ctx, table: { ...world.table, getMany } };
  const message = { look: keyText(poolKey("h100")) };
  const again = await planPools(late, [message]);

  const pool = await viewPool(world.ctx, "h100");
  expect([pool?.held, pool?.granted].map((list) => list?.map(({ key }) => key.split("|")[1]))).toEqual([["one"], []]);
  expect(again).toEqual([message]);
});

test("counts the units of an unreadable record in the pool, and raises an alarm after ten minutes", async () => {
  const log = recordingLog();
  const world = await oneNode({ log });
  await edit(world, "alice", "one", { phase: "hibernating" });
  const alarms = () => log.lines.filter(({ level, event }) => level === "error" && event === "capacity not readable");

  await world.advance(5 * MINUTE);
  expect((await viewPool(world.ctx, "h100"))?.summary.unreadable).toBe(8);
  expect(alarms()).toEqual([]);

  await world.advance(10 * MINUTE);
  expect(alarms().at(-1)?.fields).toMatchObject({ pool: "h100", units: 8 });

  await edit(world, "alice", "one", { phase: "active" });
  await world.advance(2 * MINUTE);
  expect((await viewPool(world.ctx, "h100"))?.summary.unreadable).toBe(0);
});

test("waiting jobs with unreadable records do not block others", async () => {
  const world = await memoryWorld({ nodes: [] });
  for (let n = 0; n < 20; n++) {
    await createEnvironment(world.as("alice"), newEnvironment(`broken-${n}`));
    await edit(world, "alice", `broken-${n}`, { phase: "hibernating" });
  }
  await createEnvironment(world.as("bob"), newEnvironment("whole"));
  await world.advance(MINUTE);
  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);

  await world.advance(10 * MINUTE);

  expect((await world.read("bob", "whole")).phase).toBe("active");
});

test("a worker leaves a record of a newer format alone, and sends nothing that could multiply", async () => {
  const world = await oneNode();
  await edit(world, "alice", "one", { phase: "hibernating", format: FORMAT + 1, dueAt: world.clock.now() });
  const key = environmentKey(world.as("alice").actor.uid, "gpu-dev", "one");
  const before = await world.table.get(key);
  const sent = world.queue.sent();

  for (let n = 0; n < 5; n++) await reconcile(world.ctx, { look: keyText(key) });

  expect(await world.table.get(key)).toEqual(before);
  expect(world.queue.sent()).toBe(sent);
  await world.advance(10 * MINUTE);
  expect(await world.table.get(key)).toEqual(before);
});

test("a ledger of a newer format is left alone", async () => {
  const world = await oneNode();
  const pool = await world.table.get(poolKey("h100"));
  const newer = { ...pool, format: FORMAT + 1, held: "elsewhere", dueAt: 0 } as unknown as Item;
  await world.table.put(newer);

  await world.advance(10 * MINUTE);

  expect(await world.table.get(poolKey("h100"))).toEqual(newer);
});

test("leaves counts with a pool of a newer format to a newer worker", async () => {
  const world = await oneNode();
  const pool = await world.table.get(poolKey("h100"));
  await world.table.put({ ...pool, format: FORMAT + 1 } as Item);

  await expect(readCapacity(world.ctx)).rejects.toMatchObject({ name: "Unreadable", isNewer: true });
  await expect(readClusterStatus(world.ctx)).rejects.toMatchObject({ name: "Unreadable", isNewer: true });
});

test("a pause that an older worker cannot write into a newer ledger is not reported as done", async () => {
  const world = await oneNode();
  const pool = await world.table.get(poolKey("h100"));
  await world.table.put({ ...pool, format: FORMAT + 1, dueAt: 0 } as unknown as Item);

  await expect(pauseAdmission(world.ctx, true)).rejects.toThrow("The ledger of pool h100 has a newer version");

  expect(await readAdmission(world.ctx)).toMatchObject({ paused: true });
});

test("a job with a ledger of a newer format waits beyond its limit, because only a newer worker can judge it", async () => {
  const world = await memoryWorld({ nodes: [], settings: { maxQueueHours: 4 } });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE);
  const pool = (await world.table.get(poolKey("h100"))) as Item;
  await world.table.put({ ...pool, format: FORMAT + 1, closed: { by: "operator" }, dueAt: 0 } as unknown as Item);

  await world.advance(5 * HOUR);
  const waited = (await world.read("alice", "one")).phase;
  await world.table.put({ ...pool, dueAt: world.clock.now() } as Item);
  await world.advance(10 * MINUTE);

  expect([waited, (await world.read("alice", "one")).phase]).toEqual(["queued", "cancelled"]);
});

test("a postponed record keeps unknown fields, and loses its mark once it is readable", async () => {
  const world = await oneNode();
  const unknown = { weather: { rain: [1, { deep: true }] }, phase: 7, dueAt: world.clock.now() };
  await edit(world, "alice", "one", unknown);
  const key = environmentKey(world.as("alice").actor.uid, "gpu-dev", "one");

  await reconcile(world.ctx, { look: keyText(key) });
  expect(await world.table.get(key)).toMatchObject({ ...unknown, poisoned: true, dueAt: world.clock.now() + HOUR });

  await edit(world, "alice", "one", { phase: "active", dueAt: world.clock.now() });
  await reconcile(world.ctx, { look: keyText(key) });
  expect(await world.table.get(key)).toMatchObject({ weather: unknown.weather, phase: "active" });
  expect((await world.table.get(key))?.poisoned).toBeUndefined();
});

test("a disk with an unreadable holder stays with that holder", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  await edit(world, "alice", "one", { phase: "hibernating" });

  const second = createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
  await expect(second).rejects.toThrow("Disk 'data' is currently in use by reservation one");
  await expect(deleteDisk(world.as("alice"), "data")).rejects.toThrow("currently in use by reservation one");

  expect(await listDisks(world.as("alice"))).toMatchObject([{ name: "data", inUse: true, holder: "one" }]);
});

test.each([
  ["is no key", () => "one"],
  ["is another kind of record's", (key: string) => key.replace("#env#gpu-dev", "#op")],
])("a disk whose holder's key %s stays with that holder, who runs on and returns it", async (_, edited) => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  const disk = world.table.all().find(({ kind }) => kind === "disk") as Item;
  const heldBy = disk.heldBy as Holder;
  await world.table.put({ ...disk, heldBy: { ...heldBy, key: edited(heldBy.key) } } as Item);

  const second = createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
  await expect(second).rejects.toThrow("Disk 'data' is currently in use by reservation one");
  await expect(deleteDisk(world.as("alice"), "data")).rejects.toThrow("currently in use by reservation one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(5 * MINUTE);

  await createEnvironment(world.as("alice"), newEnvironment("three", { disk: "data" }));
  await world.advance(MINUTE);
  expect((await world.read("alice", "three")).phase).toBe("active");
});

test("a host label with an unreadable environment stays with that environment", async () => {
  const world = await memoryWorld();
  const labelled = { ...newEnvironment("one"), addressLabel: "box" };
  await createEnvironment(world.as("alice"), labelled);
  await edit(world, "alice", "one", { uid: null });
  await world.advance(10 * MINUTE);

  const otherEnvironment = createEnvironment(world.as("bob"), { ...newEnvironment("two"), addressLabel: "box" });

  await expect(otherEnvironment).rejects.toThrow("host label");
});

test.each([{ format: FORMAT + 1 }, { at: "yesterday" }])(
  "a host label with an unreadable claim (%o) is not taken over",
  async (how) => {
    const world = await memoryWorld();
    const label = (id: string) => ({ ...newEnvironment(id), addressLabel: "box" });
    const dies = {
      ...world.as("alice"),
      sealer: { ...world.ctx.sealer, seal: () => Promise.reject(new Error("died")) },
    };
    await expect(createEnvironment(dies, label("one"))).rejects.toThrow("died");
    const claim = (await world.table.get(hostKey("box"))) as Item;
    await world.table.put({ ...claim, ...how } as unknown as Item);
    await world.advance(10 * MINUTE);

    await expect(createEnvironment(world.as("bob"), label("two"))).rejects.toThrow("host label");

    expect(await world.table.get(hostKey("box"))).toMatchObject({ uid: claim.uid, ...how });
  },
);

test("an id with an unreadable record is not reused, and the attempt leaves nothing behind", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await edit(world, "alice", "one", { phase: "hibernating" });
  const specs = () => world.table.all().filter(({ kind }) => kind === "spec" || kind === "host").length;
  const before = specs();

  const again = createEnvironment(world.as("alice"), { ...newEnvironment("one"), addressLabel: "box" });

  await expect(again).rejects.toThrow("cannot be read");
  expect(specs()).toBe(before);
});

test("a run with an unreadable record is no orphan that may be removed", async () => {
  const world = await oneNode();
  await edit(world, "alice", "one", { phase: "hibernating" });

  await compareOrphans(world.ctx);
  await world.advance(15 * MINUTE);
  await compareOrphans(world.ctx);

  const report = await readOrphans(world.ctx);
  expect(report?.runs.map(({ why }) => why)).toEqual(["its record cannot be read"]);
  expect(world.compute.liveUnits("h100-1")).toBe(8);
});

test("keeps chat messages while the record of their environment is unreadable", async () => {
  const world = await oneNode();
  const environment = await world.read("alice", "one");
  await changeInbox(world.ctx, environment, (inbox) => inbox);
  await world.table.put({ ...chatKey(environment.uid, 1), writers: ["w"], kind: "message", text: "hello" } as never);
  await edit(world, "alice", "one", { uid: null });

  await world.advance(HOUR);

  expect(await world.table.get(chatKey(environment.uid, 1))).toMatchObject({ text: "hello" });
});

test("starts nothing new while the operator's admission setting is unreadable", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await pauseAdmission(world.ctx, true);
  await world.advance(MINUTE);
  const item = await world.table.get(admissionKey);
  await world.table.put({ ...item, paused: "yes" } as never);
  await createEnvironment(world.as("alice"), newEnvironment("one"));

  await world.advance(10 * MINUTE);

  expect((await world.read("alice", "one")).phase).toBe("queued");
});

test("leaves a job that needs a record of a newer format to a newer worker unchanged", async () => {
  const world = await memoryWorld();
  const { uid, ...key } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  const spec = (await world.table.get(specKey(key, uid))) as Item;
  await world.table.put({ ...spec, format: FORMAT + 1 } as Item);
  await world.advance(10 * MINUTE);
  const left = await world.read("alice", "one");

  await world.table.put(spec);
  await world.advance(2 * MINUTE);

  expect(left).toMatchObject({ phase: "preparing", attempts: 0, fault: null });
  expect(left.dueAt).toBeLessThan(world.clock.now() - 10 * MINUTE);
  expect((await world.read("alice", "one")).phase).toBe("active");
});
