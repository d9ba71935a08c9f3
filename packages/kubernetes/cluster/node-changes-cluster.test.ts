import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import { listNodes } from "#core/pools/capacity/list-nodes.ts";
import { readLedger } from "#core/pools/ledger/ledger.ts";
import { emptyPool, type NodeLedger } from "#core/pools/ledger/record.ts";
import { must } from "#tests/cluster/objects.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import type { Node } from "../objects.ts";

/** Only the watch makes a listing before this time. */
const LIST_EVERY_MS = 3_600_000;
/** A change takes about a second, and far longer on a busy machine. Without the watch it would take a minute. */
const LONGEST_MS = 20_000;

let fixture: ClusterFixture;
let core: CoreFixture;
/** Machines that a listing has shown, with their units. */
const listed = new Set<string>();

beforeAll(async () => {
  const watching = Promise.withResolvers<void>();
  fixture = await openClusterFixture(["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" })));
  const { compute } = fixture;
  async function* noted(...watch: Parameters<typeof compute.changes>) {
    for await (const change of compute.changes(...watch)) {
      if ("upTo" in change) watching.resolve();
      yield change;
    }
  }
  const listNoted = async (names?: ReadonlySet<string>) => {
    const nodes = await compute.listNodes(names);
    for (const { name, units } of nodes) listed.add(`${name} ${units}`);
    return nodes;
  };
  core = await startCore({ ...compute, changes: noted, listNodes: listNoted }, undefined, {}, LIST_EVERY_MS);
  await watching.promise;
});

afterAll(async () => {
  await core.stop();
  await fixture.stop();
});

async function readNode(name: string): Promise<NodeLedger | undefined> {
  const { nodes } = await readLedger(core.ctx, emptyPool(core.ctx, "h100"));
  return nodes.find((node) => node.name === name);
}

/** Makes the change, and returns how long the core took to know of it, ms. */
async function learned(change: () => Promise<unknown>, isKnown: () => Promise<unknown>): Promise<number> {
  await change();
  const changedAt = performance.now();
  await isKnown();
  return performance.now() - changedAt;
}

const until = (holds: () => Promise<boolean>) => () => fixture.eventually(holds, (isTrue) => isTrue);

const isGranted = ({ run }: Environment) => run.grant !== null;
const cordon = async (name: string, unschedulable: boolean) =>
  must(await fixture.cluster.admin.patch(`/api/v1/nodes/${name}`, { spec: { unschedulable } }));
const stateIs = (name: string, state: string) =>
  until(async () => (await listNodes(core.ctx)).some((node) => node.name === name && node.state === state));

it("no job is granted a machine within seconds of its cordon, and the machine counts again after its end", async () => {
  await stateIs("one", "ready")();

  const closedMs = await learned(() => cordon("one", true), stateIs("one", "cordoned"));
  await core.create("beside", { gpus: 8 });
  const { run } = await core.until("beside", isGranted);
  const openMs = await learned(() => cordon("one", false), stateIs("one", "ready"));

  expect(run.grant?.shares.map(({ node }) => node)).toEqual(["two"]);
  expect(closedMs).toBeLessThan(LONGEST_MS);
  expect(openMs).toBeLessThan(LONGEST_MS);
});

it("a pod of others takes units of its machine within seconds, and releases them", async () => {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const resources = { requests: { "nvidia.com/gpu": "3" }, limits: { "nvidia.com/gpu": "3" } };
  const container = { name: "main", image: "berth.test/any:1", command: ["sleep", "3600"], resources };
  const pod = { metadata: { name: "theirs" }, spec: { nodeName: "one", containers: [container] } };
  const holds = (units: number) => until(async () => (await readNode("one"))?.foreignUnits === units);

  const takenMs = await learned(async () => must(await fixture.cluster.admin.post(pods, pod)), holds(3));
  const freeMs = await learned(
    async () => must(await fixture.cluster.admin.remove(`${pods}/theirs`, { gracePeriodSeconds: 0 })),
    holds(0),
  );

  expect(takenMs).toBeLessThan(LONGEST_MS);
  expect(freeMs).toBeLessThan(LONGEST_MS);
});

/** Creates and deletes pods of others on this machine until the signal aborts, one pod after the other. */
async function comeAndGo(node: string, signal: AbortSignal): Promise<number> {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const resources = { requests: { cpu: "1" } };
  const container = { name: "main", image: "berth.test/any:1", command: ["sleep", "3600"], resources };
  let count = 0;
  for (; !signal.aborted; count += 1) {
    const pod = { metadata: { name: `coming-${count}` }, spec: { nodeName: node, containers: [container] } };
    must(await fixture.cluster.admin.post(pods, pod));
    must(await fixture.cluster.admin.remove(`${pods}/coming-${count}`, { gracePeriodSeconds: 0 }));
    await sleep(100);
  }
  return count;
}

it("cordons count within two seconds while pods of others come and go without end", async () => {
  const ending = new AbortController();
  const stream = comeAndGo("two", ending.signal);
  const tookMs: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    tookMs.push(await learned(() => cordon("one", true), stateIs("one", "cordoned")));
    tookMs.push(await learned(() => cordon("one", false), stateIs("one", "ready")));
  }
  ending.abort();
  const count = await stream;

  expect(count).toBeGreaterThan(10);
  // The slower half may wait for a busy machine.
  expect(tookMs.toSorted((left, right) => left - right)[3]).toBeLessThan(2_000);
});

it("a waiting job is granted a new machine within seconds", async () => {
  const isOpen = async () => {
    const { body } = await fixture.cluster.admin.get<Node>("/api/v1/nodes/three");
    return (body.spec?.taints ?? []).every(({ key }) => key === "nvidia.com/gpu");
  };
  await core.create("first", { gpus: 8 });
  await core.until("first", isGranted);
  await core.create("second", { gpus: 8 });
  const waiting = await core.until("second", ({ waitPool }) => waitPool !== undefined);

  await fixture.cluster.addNodes([{ name: "three", instanceType: "p5.48xlarge" }]);
  const grantedMs = await learned(until(isOpen), () => core.until("second", isGranted));
  const { run } = await core.until("second", isGranted);

  expect(waiting.run.grant).toBeNull();
  expect(run.grant?.shares.map(({ node }) => node)).toEqual(["three"]);
  expect(grantedMs).toBeLessThan(LONGEST_MS);
});

it("a machine that joins before its GPUs is granted within seconds of them, also after a restart of the device plugin", async () => {
  const setGpus = async (gpus: string | null) => {
    const units = { "nvidia.com/gpu": gpus };
    const status = { capacity: units, allocatable: units };
    must(await fixture.cluster.admin.patch("/api/v1/nodes/four/status", { status }));
  };
  const isKnown = async () => (await readNode("four")) !== undefined;
  await fixture.cluster.addNodes([{ name: "four", instanceType: "p5.48xlarge", hasNoDevices: true }]);
  await until(async () => listed.has("four 0"))();
  const wasKnown = await isKnown();

  const knownMs = await learned(() => setGpus("8"), until(isKnown));
  await learned(
    () => setGpus(null),
    until(async () => !(await isKnown())),
  );
  await core.create("third", { gpus: 8 });
  const waiting = await core.until("third", ({ waitPool }) => waitPool !== undefined);
  const grantedMs = await learned(
    () => setGpus("8"),
    () => core.until("third", isGranted),
  );
  const { run } = await core.until("third", isGranted);

  expect([wasKnown, waiting.run.grant]).toEqual([false, null]);
  expect(run.grant?.shares.map(({ node }) => node)).toEqual(["four"]);
  expect(knownMs).toBeLessThan(LONGEST_MS);
  expect(grantedMs).toBeLessThan(LONGEST_MS);
});
