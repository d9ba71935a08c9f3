import { expect, test } from "vitest";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import { refreshCapacity } from "../../pools/capacity/capacity.ts";
import { declareNodeGone } from "../../pools/capacity/node-gone.ts";
import type { Compute } from "../../ports/compute.ts";
import type { Item } from "../../ports/table.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { keyText, runMarksKey } from "../../store/keys.ts";
import { toKey } from "../record/record.ts";
import { requestExtension, requestKey } from "../verbs/actions.ts";
import { createEnvironment, type NewEnvironment } from "../verbs/create.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** An active job without hints in the state that a listing shows, with the calls to the cluster from then on. */
async function quietJob(more: Partial<NewEnvironment> = {}, access: WorldOptions["access"] = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }), signals: false, access });
  const { uid, pk, sk } = await createEnvironment(world.as("alice"), {
    ...newEnvironment("job", { hours: 24 }),
    ...more,
  });
  await world.advance(10 * MINUTE);
  const read = () => world.read("alice", "job");
  const { phase, run } = await read();
  if (phase !== "active" || run.mark === undefined) throw new Error(`The job is ${phase}, its mark ${run.mark}`);
  const names = getAsked(world);
  /** Reconciles once, due or not, like the sweep or a hint. The listing stays unchanged. */
  const poll = async (message: { readonly hint?: true } = {}) => {
    await world.table.put({ ...(await read()), dueAt: world.clock.now() } as unknown as Item);
    names.length = 0;
    await reconcile(world.ctx, { look: keyText({ pk, sk }), ...message });
    return [...names];
  };
  return { world, uid, read, look: poll, asked: names };
}

const calls = [
  "observe",
  "extend",
  "setAccess",
  "resize",
  "readLog",
  "listRuns",
  "findSilence",
  "getMachineState",
] as const;
type CallName = (typeof calls)[number] | "listNodes";

/** Names of the calls to the cluster, without the listing of machines unless it is named. */
function getAsked({ ctx }: MemoryWorld, names: readonly CallName[] = calls): string[] {
  const input: string[] = [];
  const counted = (name: CallName) => {
    const call = ctx.compute[name] as (...input: never[]) => Promise<unknown>;
    return (...value: never[]) => {
      input.push(name);
      return call(...value);
    };
  };
  Object.assign(ctx.compute, Object.fromEntries(names.map((name) => [name, counted(name)])) as Partial<Compute>);
  return input;
}

test("an uneventful hour of an active job costs no call to the cluster", async () => {
  const { world, asked: names, read } = await quietJob();
  const before = await read();

  await world.advance(HOUR);

  expect(names).toEqual([]);
  expect((await read()).dueAt).toBeGreaterThan(before.dueAt ?? 0);
});

test("an hour of a hundred idle environments costs one listing a minute: 500 requests for a thousand of them", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 13 }), signals: false });
  for (let owner = 0; owner < 10; owner += 1) {
    const user = world.as(`owner-${owner}`);
    for (let n = 0; n < 10; n += 1) await createEnvironment(user, newEnvironment(`job-${n}`, { gpus: 1, hours: 24 }));
  }
  await world.advance(20 * MINUTE);
  const { phase, run } = await world.read("owner-9", "job-9");
  const names = getAsked(world, [...calls, "listNodes"]);

  await world.advance(HOUR);

  expect([phase, run.mark]).toEqual(["active", expect.any(String)]);
  expect(new Set(names)).toEqual(new Set(["listNodes"]));
  expect(names.length * REQUESTS_OF_A_LISTING).toBeLessThanOrEqual(500);
});

/** With a thousand runs on Kubernetes, and as many other pods (packages/kubernetes/nodes/capacity.test.ts). */
const REQUESTS_OF_A_LISTING = 3;

test("reconciles of a running command read only its log", async () => {
  const { world, uid, asked: names, read } = await quietJob({ command: "train" });
  world.compute.print(uid, 1, "first words\n");

  await world.advance(HOUR);

  expect(new Set(names)).toEqual(new Set(["readLog"]));
  expect((await read()).log?.blob).not.toBeNull();
});

test("a hint makes a reconcile observe, regardless of the listing", async () => {
  const { look: poll } = await quietJob();

  expect([await poll(), await poll({ hint: true })]).toEqual([[], ["observe"]]);
});

test("a change in a listing makes the next reconcile observe", async () => {
  const { world, uid, look: poll, read } = await quietJob();
  world.compute.kill(uid, 1);
  await refreshCapacity(world.ctx);

  expect(await poll()).toContain("observe");
  expect(await read()).toMatchObject({ phase: "stopping" });
});

test("a machine that a listing shows as not ready makes the next reconcile observe", async () => {
  const { world, look: poll, read } = await quietJob();
  const [machine] = (await read()).run.machines;
  world.compute.loseNode(machine?.name ?? "");
  await refreshCapacity(world.ctx);

  expect(await poll()).toContain("observe");
  expect((await read()).run.machines).toMatchObject([{ silent: { how: "notReady" } }]);
});

test("a changed state of one of two machines makes a reconcile observe", async () => {
  const { world, look: poll, read } = await quietJob(newEnvironment("job", { gpus: 16, hours: 24 }));
  const before = await poll();
  world.compute.loseNode((await read()).run.machines[1]?.name ?? "");
  await refreshCapacity(world.ctx);

  expect([before, await poll()]).toEqual([[], expect.arrayContaining(["observe"])]);
});

test("a listing older than 75 s is not trusted, and a change that it lacks is seen", async () => {
  const { world, uid, look: poll, read } = await quietJob();
  await refreshCapacity(world.ctx);
  world.compute.kill(uid, 1);
  world.clock.advance(75 * SECOND);
  const meanwhile = [await poll(), (await read()).phase];
  world.clock.advance(1);

  expect(meanwhile).toEqual([[], "active"]);
  expect(await poll()).toContain("observe");
  expect(await read()).toMatchObject({ phase: "stopping" });
});

test("reconciles observe while no listing succeeds, and the end of a command is seen within five minutes", async () => {
  const { world, uid, read } = await quietJob();
  const { listNodes } = world.compute;
  world.compute.listNodes = () => Promise.reject(new Error("the cluster is slow"));
  const end = world.advance(5 * MINUTE).catch(() => undefined);
  await end;
  world.compute.listNodes = async () => {
    await listNodes();
    return newNodes({ h100: 2 });
  };
  world.compute.kill(uid, 1);

  await world.advance(5 * MINUTE + SECOND);

  expect((await read()).end.outcome).not.toBeNull();
});

test("the age of a listing counts from its start, however long it takes", async () => {
  const { world, uid, look: poll } = await quietJob();
  const { listNodes } = world.compute;
  world.compute.listNodes = async () => {
    const listed = await listNodes();
    world.compute.kill(uid, 1);
    world.clock.advance(19 * SECOND);
    return listed;
  };
  await refreshCapacity(world.ctx);
  world.clock.advance(57 * SECOND);

  expect(await poll()).toContain("observe");
});

test("a change that a hinted reconcile did not handle is observed by the next one", async () => {
  const { world, uid, look: poll, read } = await quietJob();
  await requestExtension(world.as("alice"), "job", HOUR);
  world.clock.advance(3 * SECOND);
  await poll({ hint: true });
  const extended = await read();
  await refreshCapacity(world.ctx);
  world.compute.kill(uid, 1);

  expect(extended).toMatchObject({ phase: "active", requests: { list: [{ status: "done" }] } });
  expect(await poll()).toContain("observe");
  expect(await read()).toMatchObject({ phase: "stopping" });
});

test("a request is applied to the run, and later reconciles make no call", async () => {
  const { world, asked: names, read } = await quietJob();
  await requestExtension(world.as("alice"), "job", HOUR);

  await world.advance(MINUTE);
  const atOnce = new Set(names);
  names.length = 0;
  await world.advance(HOUR);

  expect(atOnce).toContain("extend");
  expect(await read()).toMatchObject({ requests: { list: [{ status: "done" }] } });
  expect(names.length).toBeLessThanOrEqual(1);
});

test("an idle decision uses an observation", async () => {
  const idle = { afterMs: HOUR, everyMs: 20 * MINUTE };
  const { world, asked: names, read } = await quietJob({ policy: { ...(await getPolicy()), idle } });

  await world.advance(45 * MINUTE);

  expect(names).toEqual(["observe", "observe"]);
  expect((await read()).use.idle).toMatchObject({ verdict: "keep" });
});

async function getPolicy() {
  const world = await memoryWorld();
  return (await createEnvironment(world.as("alice"), newEnvironment("any"))).policy;
}

test.each([
  ["of a newer version", { format: 99 }],
  ["without a time", { at: undefined }],
  ["from a clock that is a minute ahead", { ahead: MINUTE }],
  ["of another kind", { kind: "sweep" }],
  ["without marks", { marks: null }],
])("a listing %s is not trusted", async (_, change) => {
  const { world, uid, look: poll } = await quietJob();
  await refreshCapacity(world.ctx);
  const key = runMarksKey(uid.slice(0, 1));
  const item = await world.table.get(key);
  const { ahead = 0, ...fields } = change as { ahead?: number };
  await world.table.put({ ...item, at: world.clock.now() + ahead, ...fields } as Item);

  expect([item?.kind, await poll()]).toEqual(["run-marks", ["observe"]]);
});

test("a listing names its format, and does not replace one of a newer version", async () => {
  const { world, uid } = await quietJob();
  await refreshCapacity(world.ctx);
  const key = runMarksKey(uid.slice(0, 1));
  const written = await world.table.get(key);
  const newer = { ...key, writers: ["w"], kind: "run-marks", format: 99, seen: {} };
  await world.table.put(newer as Item);

  await refreshCapacity(world.ctx);

  expect(written).toMatchObject({ format: 1 });
  expect(await world.table.get(key)).toEqual(newer);
});

test("the operator's declaration about a machine takes effect although its message is lost", async () => {
  const { world, look: poll, read } = await quietJob();
  const [machine] = (await read()).run.machines;
  const operator = world.as("op");
  const send = async () => undefined;
  await declareNodeGone({ ...operator, queue: { ...operator.queue, send } }, machine?.name ?? "");

  expect(await poll()).toContain("observe");
  expect(await read()).toMatchObject({ phase: "stopping" });
});

test("a failure to store marks does not fail the refresh of capacity", async () => {
  const { world, look: poll } = await quietJob();
  const { put } = world.table;
  world.table.put = async (item, options) => {
    if (item.pk.startsWith("run-marks")) throw new Error("throttled");
    return put(item, options);
  };
  world.clock.advance(2 * MINUTE);

  await refreshCapacity(world.ctx);

  expect(await poll()).toEqual(["observe"]);
});

test("a restarted run is observed, although its earlier run matched the listing", async () => {
  const { world, read, look: poll } = await quietJob();
  const record = await read();
  const { pk, sk } = toKey(record);
  await refreshCapacity(world.ctx);
  const item = (await world.table.get({ pk, sk })) as Item;
  await world.table.put({ ...item, run: { ...record.run, n: 2 } } as unknown as Item);

  expect(await poll()).toContain("observe");
});

test("a job with a key that cannot be entered yet is observed until it can", async () => {
  let problem: string | undefined = "No port for SSH is free";
  const { look: poll, read, world } = await quietJob({}, { sshPort: 2222, sshProblem: () => problem });

  const during = await poll();
  problem = undefined;
  const last = await poll();
  await world.advance(10 * MINUTE);

  expect([during, last, await poll()]).toEqual([["observe"], ["observe"], []]);
  expect((await read()).run.address).toEqual({ ip: "127.0.0.1", port: 2222 });
});

test("a run is observed after a change of access, because its address may have changed", async () => {
  const { world, asked: names } = await quietJob();
  await requestKey(world.as("alice"), "job", "ssh-ed25519 AAAA", String);

  await world.advance(MINUTE);

  expect(names.slice(names.indexOf("setAccess"))).toContain("observe");
});
