import { expect, test } from "vitest";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { declareNodeGone } from "../../pools/capacity/node-gone.ts";
import type { NodeRef } from "../../ports/compute.ts";
import type { Item } from "../../ports/table.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { keyText } from "../../store/keys.ts";
import { reservation } from "../record/policy.ts";
import { type Environment, toKey } from "../record/record.ts";
import { requestCancel } from "../verbs/actions.ts";
import { createEnvironment, type NewEnvironment } from "../verbs/create.ts";
import { requestStart } from "../verbs/start.ts";
import { requestStop } from "../verbs/stop.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Running {
  readonly world: MemoryWorld;
  readonly read: (id?: string) => Promise<Environment>;
  /** Name and uid of its first machine. */
  readonly name: string;
  readonly uid: string;
  readonly isLive: () => boolean;
}

async function running(more: Partial<NewEnvironment> = {}, options: WorldOptions = {}): Promise<Running> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }), ...options });
  await createEnvironment(world.as("alice"), { ...newEnvironment("job", { hours: 24 }), ...more });
  await world.advance(5 * SECOND);
  const read = (id = "job") => world.read("alice", id);
  const {
    phase,
    run: { machines },
    uid,
  } = await read();
  const [machine] = machines;
  if (phase !== "active" || !machine) throw new Error(`The job is ${phase}`);
  return { world, read, name: machine.name, uid: machine.uid, isLive: () => world.compute.isLive(uid, 1) };
}

/** Advances second by second until the condition holds; fails after a limit. */
async function until({ world, read }: Running, ms: number, holds: (job: Environment) => boolean): Promise<Environment> {
  for (let passed = 0; passed <= ms; passed += SECOND) {
    const job = await read();
    if (holds(job)) return job;
    await world.advance(SECOND);
  }
  throw new Error(`The condition did not become true: ${holds}`);
}

const isSilent = ({ run: { machines } }: Environment) => machines.some(({ silent }) => silent !== null);
const isOver = ({ phase }: Environment) => phase === "failed" || phase === "stopped" || phase === "cancelled";

test("a machine without a node object for 10 s is lost if its provider confirms that, and its job fails", async () => {
  const job = await running();
  job.world.compute.removeNode(job.name);
  job.world.compute.setMachine(job.uid, "gone");

  const noticed = await until(job, MINUTE, isSilent);
  await job.world.advance(8 * SECOND);
  const waiting = await job.read();
  const ended = await until(job, MINUTE, isOver);

  expect(noticed).toMatchObject({ phase: "active", reason: expect.stringContaining(`${job.name} does not answer`) });
  expect(waiting).toMatchObject({ phase: "active", end: { outcome: null } });
  expect(ended).toMatchObject({ phase: "failed", reason: `Its machine was lost: ${job.name}`, run: { grant: null } });
  expect(await job.world.compute.observe(ended.uid, 1)).toBeUndefined();
});

test.each([
  ["several machines, which end in their grace period", 24, 120_000],
  ["one machine, which has no command any more", 8, 10_000],
])("a run is removed by force once a machine is lost: of %s", async (_, gpus, afterMs) => {
  const options = { nodes: newNodes({ h100: 3 }), settings: { graceSeconds: 120 } };
  const job = await running(newEnvironment("job", { gpus, hours: 24 }), options);
  const { compute, clock } = job.world;
  const { remove } = compute;
  const removals: { readonly force: boolean; readonly at: number }[] = [];
  compute.remove = (uid, run, removal) => {
    removals.push({ force: removal.force, at: clock.now() });
    return remove(uid, run, removal);
  };
  compute.removeNode(job.name);
  compute.setMachine(job.uid, "gone");

  await until(job, 10 * MINUTE, ({ phase, run: { grant } }) => phase === "failed" && grant === null);

  const [first] = removals;
  const forced = removals.find(({ force }) => force);
  const passedMs = (forced?.at ?? 0) - (first?.at ?? 0);
  expect(first?.force).toBe(false);
  expect(passedMs).toBeGreaterThanOrEqual(afterMs);
  expect(passedMs).toBeLessThan(afterMs + MINUTE);
});

test.each([
  ["its provider says gone ends the job", "gone", "failed"],
  ["its provider says running is waited for", "running", "preparing"],
] as const)("a bound machine that is lost during a withdrawal and that %s", async (_, state, phase) => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("job", { gpus: 16, hours: 24 }));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/2 nodes are available", first: 1 });
  await world.advance(5 * SECOND);
  const [bound] = (await world.compute.observe(uid, 1))?.nodes ?? [];
  if (!bound) throw new Error("No machine is bound");
  const { remove } = world.compute;
  let removals = 0;
  world.compute.remove = async (...input) => {
    removals += 1;
    world.compute.removeNode(bound.name);
    world.compute.setMachine(bound.uid, state);
    return remove(...input);
  };

  await world.advance(10 * MINUTE);

  const words = state === "gone" ? `Its machine was lost: ${bound.name}` : `Its machine ${bound.name} does not answer`;
  expect(await world.read("alice", "job")).toMatchObject({ phase, reason: expect.stringContaining(words) });
  expect(world.compute.isLive(uid, 1)).toBe(state !== "gone");
  // A removal every five seconds would be more than a hundred.
  expect(removals).toBeLessThan(40);
});

test("a wait for a machine that does not answer needs no listing of all machines", async () => {
  const job = await running({ disk: { name: "data", sizeGb: 10 } });
  const key = keyText(toKey(await job.read()));
  const { listNodes, removeNode } = job.world.compute;
  let listings = 0;
  Object.assign(job.world.ctx.compute, {
    listNodes: async () => {
      listings += 1;
      return listNodes();
    },
  });
  removeNode(job.name);

  for (let n = 0; n < 100; n += 1) await reconcile(job.world.ctx, { look: key, hint: true });
  const waits = await job.read();
  await requestCancel(job.world.as("alice"), "job");
  await job.world.compute.remove(waits.uid, 1, { graceSeconds: 0, force: true });
  for (let n = 0; n < 100; n += 1) await reconcile(job.world.ctx, { look: key, hint: true });

  expect(waits.run.machines).toMatchObject([{ silent: { how: "missing" } }]);
  expect(await job.read()).toMatchObject({ phase: "stopping", run: { grant: null } });
  expect(listings).toBe(0);
});

test("the units of a lost machine are gone, not free", async () => {
  const job = await running({}, { nodes: newNodes({ h100: 1 }) });
  await createEnvironment(job.world.as("bob"), newEnvironment("waits"));
  job.world.compute.removeNode(job.name);
  job.world.compute.setMachine(job.uid, "gone");

  await until(job, 3 * MINUTE, isOver);
  await job.world.advance(3 * MINUTE);

  const pool = await viewPool(job.world.ctx, "h100");
  expect(pool).toMatchObject({ nodes: [], granted: [], held: [], summary: { total: 0, free: 0, waiting: 1 } });
  expect((await job.world.read("bob", "waits")).phase).toBe("queued");
});

test("the units of a lost machine are never granted, however old the last listing is", async () => {
  for (const age of [0, 10, 20, 30, 40, 50]) {
    const job = await running({}, { nodes: newNodes({ h100: 1 }) });
    await createEnvironment(job.world.as("bob"), newEnvironment("waits"));
    await job.world.advance(age * SECOND);
    job.world.compute.removeNode(job.name);
    job.world.compute.setMachine(job.uid, "gone");
    await until(job, 3 * MINUTE, isOver);

    for (let passed = 0; passed < 2 * MINUTE; passed += SECOND) {
      await job.world.advance(SECOND);
      const { phase, run } = await job.world.read("bob", "waits");
      expect({ age, passed, phase, grant: run.grant }).toEqual({ age, passed, phase: "queued", grant: null });
    }
  }
});

test("one reading without the node object decides nothing, and a machine that returns was never lost", async () => {
  const job = await running();
  const before = await job.read();
  job.world.compute.removeNode(job.name);
  job.world.compute.setMachine(job.uid, "gone");
  await until(job, MINUTE, isSilent);

  job.world.compute.returnNode(job.name);
  await job.world.advance(2 * MINUTE);

  const after = await job.read();
  expect(after).toMatchObject({
    phase: "active",
    reason: null,
    times: { endsAt: before.times.endsAt },
    run: { n: 1 },
    placement: { withdrawals: 0 },
  });
  expect([after.events.count, isSilent(after), job.isLive()]).toEqual([before.events.count, false, true]);
});

test("nothing is forced while the instance runs without its node object: the job waits with that reason", async () => {
  const job = await running({ disk: { name: "data", sizeGb: 10 } });
  job.world.compute.removeNode(job.name);

  await job.world.advance(HOUR);
  const waits = await job.read();
  await requestCancel(job.world.as("alice"), "job");
  await job.world.advance(HOUR);
  const stops = await job.read();
  const live = job.isLive();
  job.world.compute.setMachine(job.uid, "gone");
  await job.world.advance(2 * MINUTE);

  const words = `Its machine ${job.name} does not answer; waiting until EC2 says that it is gone`;
  expect(waits).toMatchObject({ phase: "active", reason: words });
  expect(stops).toMatchObject({ phase: "stopping", end: { waitsFor: words }, run: { grant: waits.run.grant } });
  expect(live).toBe(true);
  expect(await job.read()).toMatchObject({ phase: "cancelled", run: { grant: null }, end: { waitsFor: null } });
});

test("a machine that is NotReady is lost after 5 minutes, if its provider says that it is gone", async () => {
  const job = await running();
  job.world.compute.loseNode(job.name);
  job.world.compute.setMachine(job.uid, "gone");
  await until(job, MINUTE, isSilent);

  await job.world.advance(5 * MINUTE - 2 * SECOND);
  const before = await job.read();
  const after = await until(job, MINUTE, isOver);

  expect(before).toMatchObject({ phase: "active", reason: expect.stringContaining("waiting until it is back") });
  expect(after).toMatchObject({ phase: "failed", reason: `Its machine was lost: ${job.name}` });
});

test("a machine that is NotReady for four minutes loses nothing, and later has its 5 minutes again", async () => {
  const job = await running();
  job.world.compute.setMachine(job.uid, "gone");
  for (let times = 0; times < 3; times++) {
    job.world.compute.loseNode(job.name);
    job.world.compute.setMachine(job.uid, "gone");
    await job.world.advance(4 * MINUTE);
    job.world.compute.returnNode(job.name);
    await job.world.advance(MINUTE);
  }

  expect(await job.read()).toMatchObject({ phase: "active", reason: null, end: { outcome: null } });
});

test("a machine without an answer of its provider waits for the operator, whose declaration makes it lost at once", async () => {
  const job = await running();
  job.world.compute.loseNode(job.name);
  job.world.compute.setMachine(job.uid, "unknown");
  await job.world.advance(HOUR);
  const waits = await job.read();

  await declareNodeGone(job.world.as("op"), job.name);
  const ended = await until(job, 20 * SECOND, isOver);

  expect(waits).toMatchObject({ phase: "active", reason: expect.stringContaining("the operator's word") });
  expect(ended).toMatchObject({ phase: "failed", reason: `Its machine was lost: ${job.name}` });
});

test("a failing provider decides nothing, and the record names the obstacle", async () => {
  const job = await running();
  const { compute } = job.world;
  compute.loseNode(job.name);
  Object.assign(job.world.ctx.compute, { getMachineState: () => Promise.reject(new Error("EC2 is away")) });

  await job.world.advance(HOUR);

  expect(await job.read()).toMatchObject({ phase: "active", fault: null, reason: expect.stringContaining("operator") });
});

test("the operator's declaration applies to one node object, for 24 h, even if the machine seems to answer", async () => {
  const job = await running({}, { nodes: newNodes({ h100: 1 }) });
  await declareNodeGone(job.world.as("op"), job.name);
  const ended = await until(job, 20 * SECOND, isOver);
  await createEnvironment(job.world.as("alice"), newEnvironment("next"));

  await job.world.advance(23 * HOUR);
  const within = await job.read("next");
  await job.world.advance(2 * HOUR);
  const after = await job.read("next");

  expect([ended.phase, within.phase]).toEqual(["failed", "queued"]);
  expect(after.run.startedAt).toBeGreaterThan(ended.createdAt + 24 * HOUR);
});

test("the operator's declaration applies to a machine that was created for a run and died before a listing showed it", async () => {
  const [node] = newNodes({ h100: 1 });
  if (!node) throw new Error("There is no node");
  const group = { pool: "h100", mostNodes: 1, startupMs: MINUTE, zones: [] };
  const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [group] } });
  await createEnvironment(world.as("alice"), newEnvironment("job", { hours: 24 }));
  await world.advance(30 * SECOND);
  world.compute.setNode(node);
  await world.advance(20 * SECOND);
  const early = await world.read("alice", "job");
  world.compute.loseNode(node.name);
  world.compute.setMachine(node.uid, "unknown");
  world.compute.removeNode(node.name);
  await world.advance(HOUR);
  const inLedger = (await viewPool(world.ctx, "h100"))?.nodes;

  const found = await declareNodeGone(world.as("op"), node.name);
  await world.advance(MINUTE);

  expect([early.phase, inLedger, found.uid]).toEqual(["active", [], node.uid]);
  expect(await world.read("alice", "job")).toMatchObject({
    phase: "failed",
    reason: `Its machine was lost: ${node.name}`,
  });
  expect(await viewPool(world.ctx, "h100")).toMatchObject({ held: [], granted: [] });
});

test("the operator's declaration applies to a machine without runs that still has a volume", async () => {
  const job = await running({ disk: { name: "data", sizeGb: 10 } });
  job.world.compute.removeNode(job.name);
  job.world.compute.setMachine(job.uid, "unknown");
  await job.world.compute.remove((await job.read()).uid, 1, { graceSeconds: 0, force: true });
  await job.world.advance(HOUR);
  const waits = await job.read();
  const inLedger = (await viewPool(job.world.ctx, "h100"))?.nodes.map(({ name }) => name);

  const found = await declareNodeGone(job.world.as("op"), job.name);
  await job.world.advance(MINUTE);

  expect(waits).toMatchObject({ phase: "stopping", end: { waitsFor: expect.stringContaining("the operator's word") } });
  expect(inLedger).not.toContain(job.name);
  expect(found.uid).toBe(job.uid);
  expect(await job.read()).toMatchObject({ phase: "failed", disk: { released: true } });
});

test("a node that only an unreadable ledger may name is not answered as unknown", async () => {
  const job = await running({}, { nodes: newNodes({ h100: 1, a100: 1 }) });
  const [node] = (await viewPool(job.world.ctx, "a100"))?.nodes ?? [];
  if (!node) throw new Error("There is no ledger");
  await job.world.table.put({ ...node, held: null } as unknown as Item);
  const operator = job.world.as("op");

  const refused = declareNodeGone(operator, "a100-1");
  const found = await declareNodeGone(operator, job.name);

  await expect(refused).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining("|a100-1~") });
  expect(found.name).toBe(job.name);
});

test("the operator's declaration is refused if the machine's ledger item is unreadable, even if a job waits for it", async () => {
  const job = await running();
  const { table, as } = job.world;
  job.world.compute.loseNode(job.name);
  await until(job, 20 * MINUTE, isSilent);
  const node = (await viewPool(job.world.ctx, "h100"))?.nodes.find(({ name }) => name === job.name);
  const key = { pk: node?.pk ?? "", sk: node?.sk ?? "" };
  await table.put({ ...(await table.get(key)), held: null } as unknown as Item);

  const refused = declareNodeGone(as("op"), job.name);
  await expect(refused).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining(key.sk) });
  await table.put({ ...node, writers: (await table.get(key))?.writers } as Item);
  await declareNodeGone(as("op"), job.name);

  expect(await table.get(key)).toMatchObject({ gone: true, ready: false });
  expect(await until(job, MINUTE, isOver)).toMatchObject({ reason: `Its machine was lost: ${job.name}` });
});

test("a ledger item that became unreadable before the operator's declaration is not reported as marked", async () => {
  const job = await running();
  const { table } = job.world;
  const put: typeof table.put = async (item, options) => {
    await table.put(item, options);
    const [node] = table.all().filter(({ kind, name }) => kind === "node" && name === job.name);
    if (node && (item as Item).kind === "node-gone") await table.put({ ...node, format: 99 } as Item);
  };
  const operator = job.world.as("op");

  const refused = declareNodeGone({ ...operator, table: { ...table, put } }, job.name);

  await expect(refused).rejects.toMatchObject({ kind: "conflict" });
});

test("a node that only a job's unreadable record may name is not answered as unknown", async () => {
  const job = await running();
  const { pk, sk } = await job.read();
  await job.world.table.put({
    ...(await job.read()),
    phase: "hibernating",
    dueAt: job.world.clock.now(),
  } as unknown as Item);

  const refused = declareNodeGone(job.world.as("op"), "h100-made");

  await expect(refused).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining(`${pk}|${sk}`) });
});

test("the operator's declaration does not apply to another machine of the same name", async () => {
  const job = await running({}, { nodes: newNodes({ h100: 1 }) });
  const [node] = newNodes({ h100: 1 });
  if (!node) throw new Error("There is no node");
  await declareNodeGone(job.world.as("op"), job.name);
  await until(job, 20 * SECOND, isOver);

  job.world.compute.setNode({ ...node, uid: "another", providerId: "memory:///zone-a/another" });
  await createEnvironment(job.world.as("alice"), newEnvironment("next"));
  await job.world.advance(3 * MINUTE);

  expect((await job.read("next")).phase).toBe("active");
});

test("one lost machine of several ends the run, and the others have their grace period", async () => {
  const job = await running(newEnvironment("job", { gpus: 16, hours: 24 }));
  const second = (await job.read()).run.machines[1];
  job.world.compute.removeNode(second?.name ?? "");
  job.world.compute.setMachine(second?.uid ?? "", "gone");

  const ended = await until(job, 3 * MINUTE, isOver);

  expect(ended).toMatchObject({
    phase: "failed",
    reason: `Its machine was lost: ${second?.name}`,
    run: { grant: null },
  });
  expect((ended.end.at ?? 0) - (ended.end.stoppingAt ?? 0)).toBeGreaterThanOrEqual(10 * SECOND);
  expect(job.world.compute.liveUnits(job.name)).toBe(0);
});

test("a restartable environment is stopped with the lost machine as its reason, and starts elsewhere with its own volumes", async () => {
  const volumes = [{ name: "workspace", path: "/workspace", sizeGb: 5 }];
  const job = await running({ policy: { ...reservation, time: "none", restarts: true }, volumes });
  job.world.compute.removeNode(job.name);
  job.world.compute.setMachine(job.uid, "gone");

  const stopped = await until(job, 3 * MINUTE, isOver);
  await requestStart(job.world.as("alice"), "job");
  await job.world.advance(3 * MINUTE);

  const again = await job.read();
  expect(stopped).toMatchObject({ phase: "stopped", run: { error: `Its machine was lost: ${job.name}` } });
  expect(again).toMatchObject({ phase: "active", run: { n: 2, error: null }, volumes: stopped.volumes });
  expect(again.run.machines.map(({ name, silent }) => [name === job.name, silent])).toEqual([[false, null]]);
});

test("a restartable environment stops only once its volume is detached from a machine that vanished with its pod", async () => {
  const volumes = [{ name: "workspace", path: "/workspace", sizeGb: 5 }];
  const job = await running({ policy: { ...reservation, time: "none", restarts: true }, volumes });
  job.world.compute.removeNode(job.name);
  await job.world.compute.remove((await job.read()).uid, 1, { graceSeconds: 0, force: true });

  await job.world.advance(HOUR);
  const stops = await job.read();
  await requestStart(job.world.as("alice"), "job");
  job.world.compute.setMachine(job.uid, "gone");
  await job.world.advance(2 * MINUTE);

  const words = `Its machine ${job.name} does not answer; waiting until EC2 says that it is gone`;
  expect(stops).toMatchObject({ phase: "stopping", run: { n: 1 }, end: { waitsFor: words } });
  expect(await job.read()).toMatchObject({ phase: "active", run: { n: 2 }, placement: { withdrawals: 0 } });
});

test("a requested stop keeps its reason when the machine is lost in between", async () => {
  const job = await running({ policy: { ...reservation, time: "none", restarts: true } });
  job.world.compute.loseNode(job.name);
  job.world.compute.setMachine(job.uid, "gone");
  await requestStop(job.world.as("alice"), "job", { reason: "for the night" });

  const stopped = await until(job, 10 * MINUTE, isOver);

  expect(stopped).toMatchObject({ phase: "stopped", reason: "for the night", run: { error: null } });
});

test("the disk of a lost machine is detached by force, backed up, and passed to the next job", async () => {
  const disk = { name: "data", sizeGb: 10 };
  const job = await running({ disk });
  job.world.compute.removeNode(job.name);
  job.world.compute.setMachine(job.uid, "gone");
  await until(job, 3 * MINUTE, isOver);

  await createEnvironment(job.world.as("alice"), { ...newEnvironment("next"), disk });
  await job.world.advance(2 * MINUTE);

  expect((await job.read("next")).phase).toBe("active");
  expect(job.world.volumes.history().map(({ kind }) => kind)).toEqual(["created", "snapshot"]);
});

test("a volume that is still attached without its run is detached by force only from a lost machine", async () => {
  const job = await running({ disk: { name: "data", sizeGb: 10 } });
  const taken: string[] = [];
  const { findVolume } = job.world.volumes;
  Object.assign(job.world.ctx.volumes, {
    findVolume: async (id: string) => ({ ...(await findVolume(id)), attached: taken.length === 0 }),
    detachVolume: async (_: string, machine: NodeRef) => void taken.push(machine.uid),
  });
  await requestCancel(job.world.as("alice"), "job");
  await job.world.advance(HOUR);
  const waits = await job.read();
  job.world.compute.removeNode(job.name);
  await job.world.advance(HOUR);
  const takenBefore = [...taken];

  job.world.compute.setMachine(job.uid, "gone");
  await job.world.advance(MINUTE);

  expect(waits).toMatchObject({
    phase: "stopping",
    run: { grant: null },
    end: { waitsFor: "Waits until its volumes are detached" },
  });
  expect([takenBefore, taken]).toEqual([[], [job.uid]]);
  expect((await job.read()).phase).toBe("cancelled");
});

test("a job's time ends while its machine is silent, and it expires when the machine is lost", async () => {
  const job = await running(newEnvironment("job", { hours: 1 }));
  job.world.compute.loseNode(job.name);
  await job.world.advance(HOUR + MINUTE);
  const over = await job.read();

  job.world.compute.setMachine(job.uid, "gone");
  await job.world.advance(2 * MINUTE);

  expect(over).toMatchObject({ phase: "stopping", end: { outcome: { phase: "expired" } } });
  expect(over.end.waitsFor).toContain(`${job.name} does not answer`);
  expect((await job.read()).phase).toBe("expired");
});

test("a machine that is lost while its run is still being prepared ends it as lost", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), delays: { imageMs: HOUR } });
  await createEnvironment(world.as("alice"), newEnvironment("job"));
  await world.advance(10 * SECOND);
  world.compute.removeNode("h100-1");
  world.compute.setMachine("node-h100-1", "gone");

  await world.advance(2 * MINUTE);

  expect(await world.read("alice", "job")).toMatchObject({ phase: "failed", reason: "Its machine was lost: h100-1" });
});

/** A world in which a run with a disk was applied, and is bound to `h100-1` a second later. */
async function preparingWithDisk(options: WorldOptions): Promise<MemoryWorld> {
  const world = await memoryWorld({ ...options, delays: { bindMs: SECOND, imageMs: HOUR }, signals: false });
  const disk = { name: "data", sizeGb: 10 };
  await createEnvironment(world.as("alice"), { ...newEnvironment("job", { hours: 24 }), disk });
  return world;
}

/** The machine dies, and the cluster removes node and pod before any reconcile. */
async function vanish({ compute, read }: MemoryWorld): Promise<void> {
  const { uid } = await read("alice", "job");
  compute.removeNode("h100-1");
  compute.setMachine("node-h100-1", "gone");
  await compute.remove(uid, 1, { graceSeconds: 0, force: true });
}

test("a disk is released although its machine died before any reconcile saw the run bound to it", async () => {
  const world = await preparingWithDisk({ nodes: newNodes({ h100: 1 }) });
  await world.advance(1_500);
  await vanish(world);
  const { run } = await world.read("alice", "job");

  await world.advance(5 * MINUTE);

  expect(run).toMatchObject({ appliedAt: expect.any(Number), machines: [{ name: "h100-1", silent: null }] });
  expect(await world.read("alice", "job")).toMatchObject({ phase: "failed", disk: { released: true } });
});

test("a disk is released although the machine created for its run died during the preparation", async () => {
  const group = { pool: "h100", mostNodes: 1, startupMs: MINUTE, zones: [] };
  const world = await preparingWithDisk({ nodes: [], settings: { nodeGroups: [group] } });
  await world.advance(20 * SECOND);
  const early = await world.read("alice", "job");
  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
  await world.advance(40 * SECOND);
  await vanish(world);

  await world.advance(5 * MINUTE);

  expect([early.phase, early.run.machines]).toEqual(["preparing", []]);
  expect(await world.read("alice", "job")).toMatchObject({ phase: "failed", disk: { released: true } });
});

test("an unbound run is not lost with the machine of its grant, which is withdrawn instead", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const environment = await createEnvironment(world.as("alice"), newEnvironment("job"));
  world.compute.program(environment.uid, { kind: "neverBinds", reason: "0/1 nodes are available" });
  await world.advance(10 * SECOND);

  await declareNodeGone(world.as("op"), "h100-1");
  await world.advance(3 * MINUTE);

  expect(await world.read("alice", "job")).toMatchObject({
    phase: "queued",
    end: { outcome: null },
    placement: { withdrawals: 0 },
  });
});

test("a renamed machine is not lost", async () => {
  const job = await running();
  const node = newNodes({ h100: 2 }).find(({ name }) => name === job.name);
  if (!node) throw new Error("There is no node");

  job.world.compute.setNode({ ...node, name: "renamed" });
  job.world.compute.setMachine(job.uid, "gone");
  await job.world.advance(HOUR);

  expect(await job.read()).toMatchObject({ phase: "active", reason: null });
});

test("a wall clock that jumped back does not make a silent machine wait for longer", async () => {
  const job = await running();
  job.world.compute.loseNode(job.name);
  job.world.compute.setMachine(job.uid, "gone");
  const noticed = await until(job, MINUTE, isSilent);
  const ahead = noticed.run.machines.map((machine) => ({
    ...machine,
    silent: { how: "notReady", since: noticed.createdAt + HOUR },
  }));
  const { pk, sk } = noticed;
  const present = (await job.world.table.get({ pk, sk })) ?? noticed;
  const changed = { ...present, run: { ...noticed.run, machines: ahead } };
  await job.world.table.put(changed);

  const ended = await until(job, 7 * MINUTE, isOver);

  expect(ended.phase).toBe("failed");
});

test("a machine without a node object for 10 s is noted in the timeline, and its job continues", async () => {
  const job = await running();
  const said = async () => (await job.read()).events.timeline.map(({ reason }) => reason);
  const before = (await said()).length;

  job.world.compute.removeNode(job.name);
  await until(job, MINUTE, isSilent);
  const early = (await said()).length;
  await job.world.advance(12 * SECOND);
  const { phase, end } = await job.read();

  expect(early).toBe(before);
  expect((await said()).slice(before)).toEqual([expect.stringContaining(`Its machine ${job.name} does not answer`)]);
  expect([phase, end.outcome]).toEqual(["active", null]);
});

test("a silence of more than a minute and the return of a machine are noted in the timeline", async () => {
  const job = await running();
  const node = newNodes({ h100: 2 }).find(({ name }) => name === job.name);
  if (!node) throw new Error("No node");
  const said = async () => (await job.read()).events.timeline.map(({ reason }) => reason);
  const before = (await said()).length;

  job.world.compute.setNode({ ...node, ready: false });
  await job.world.advance(30 * SECOND);
  const early = (await said()).length;
  await job.world.advance(20 * MINUTE);
  const during = (await said()).slice(before);
  job.world.compute.setNode(node);
  await job.world.advance(MINUTE);

  expect(early).toBe(before);
  expect(during).toEqual([expect.stringContaining(`Its machine ${job.name} does not answer`)]);
  expect((await said()).slice(before + 1)).toEqual(["Its machine answers again"]);
});
