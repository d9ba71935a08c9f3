import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import { listNodes } from "#core/pools/capacity/list-nodes.ts";
import { getPods, must } from "#tests/cluster/objects.ts";
import type { ApiClient } from "../client/api-client.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import type { Node } from "../objects.ts";

const GPU_TYPE = "p5.48xlarge";
const ZONE = "topology.kubernetes.io/zone";
const EMPTY = "us-east-1a";
const zones = [EMPTY, "us-east-1b", "us-east-1c"];
let fixture: ClusterFixture;

beforeAll(async () => {
  // Without heartbeats, which would dominate for a thousand nodes.
  fixture = await openClusterFixture([], undefined, { nodeGraceSeconds: 3_600 });
});

afterAll(() => fixture.stop());

interface PendingPod {
  readonly spec: { readonly nodeName?: string; readonly affinity?: { readonly nodeAffinity?: NodeAffinity } };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

interface NodeAffinity {
  readonly requiredDuringSchedulingIgnoredDuringExecution?: { readonly nodeSelectorTerms: readonly Term[] };
}

interface Term {
  readonly matchExpressions?: readonly { readonly key: string; readonly values?: readonly string[] }[];
}

function listZones({ spec }: PendingPod): readonly string[] {
  const { nodeSelectorTerms = [] } = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? {};
  const wanted = nodeSelectorTerms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions.filter(({ key }) => key === ZONE).flatMap(({ values = [] }) => values),
  );
  return wanted.length > 0 ? wanted : zones;
}

/** Imitates an autoscaler: a machine for each pod that fits nowhere, in a zone that has machines. Returns them all. */
async function runAutoscaler(signal: AbortSignal) {
  const made: { readonly name: string; readonly zone: string }[] = [];
  const nodes = [];
  while (!signal.aborted) {
    const { items } = must(await fixture.cluster.admin.get<{ items: PendingPod[] }>(getPods(namespace)));
    const taken = new Set(items.map(({ spec }) => spec.nodeName));
    const empty = made.filter(({ name }) => !taken.has(name));
    for (const pod of items.filter(isUnschedulable)) {
      const zones = listZones(pod).filter((name) => name !== EMPTY);
      const found = empty.findIndex(({ zone }) => zones.includes(zone));
      if (found >= 0) empty.splice(found, 1);
      const [zone] = zones;
      if (found >= 0 || zone === undefined) continue;
      const name = `made-${made.length}`;
      made.push({ name, zone });
      nodes.push(...(await fixture.cluster.addNodes([{ name, instanceType: GPU_TYPE, zone }])));
    }
    await sleep(50);
  }
  return nodes;
}

function isUnschedulable({ status }: PendingPod): boolean {
  return status?.conditions?.some(({ type, status }) => type === "PodScheduled" && status === "False") ?? false;
}

it("a type at zero starts its jobs in the zones that have machines, and both machines of a job in one", async () => {
  const nodeGroups = [{ pool: "h100", mostNodes: 4, startupMs: 30_000, zones }];
  const core = await startCore(fixture.compute, undefined, { nodeGroups });
  const ending = new AbortController();
  const scaling = runAutoscaler(ending.signal);
  // A second try needs a cluster without machines, as the first one.
  onTestFinished(async () => {
    ending.abort();
    const nodes = await scaling;
    await core.stop();
    await fixture.clear();
    for (const node of nodes) await node.remove();
  });
  const tried = new Set<string | undefined>();
  // A job that waits for machines of the empty zone must not wait in real time.
  const tryZones = (environment: Environment) => {
    const { grant } = environment.run;
    const zone = grant?.shares[0]?.zone;
    if (zone === EMPTY) core.skipToNext(environment);
    if (grant) tried.add(zone);
  };
  const isActive = (environment: Environment) => {
    tryZones(environment);
    return environment.phase === "active";
  };
  await core.create("pair", { gpus: 16 });
  await core.until("pair", (environment) => {
    tryZones(environment);
    return tried.size > 1;
  });
  await core.create("first", { gpus: 8 });
  await core.create("second", { gpus: 8 });

  const active = await Promise.all(["pair", "first", "second"].map((id) => core.until(id, isActive)));
  const { items } = must(await fixture.cluster.admin.get<{ items: Node[] }>("/api/v1/nodes"));

  const zoneByNode = new Map(items.map(({ metadata }) => [metadata.name, metadata.labels?.[ZONE]]));
  const [pair, ...singles] = active.map(({ run }) => run.machines.map(({ name }) => zoneByNode.get(name)));
  expect(tried).toContain(EMPTY);
  expect(new Set(pair).size).toBe(1);
  expect([pair?.length, singles.map(({ length }) => length)]).toEqual([2, [1, 1]]);
  expect([pair, singles].flat(2)).not.toContain(EMPTY);
  expect(active.map(({ placement }) => placement.withdrawals)).toEqual([0, 0, 0]);
});

/** Counts the lists of nodes and of all pods by the driver. */
function countLists(client: ApiClient): { readonly client: ApiClient; count(path: string): number } {
  const listed: string[] = [];
  const list: ApiClient["list"] = (path, ...rest) => {
    listed.push(path.split("?")[0] ?? "");
    return client.list(path, ...rest);
  };
  return { client: { ...client, list }, count: (path) => listed.filter((other) => other === path).length };
}

/** Only the watch makes a listing before this time. */
const LIST_EVERY_MS = 3_600_000;
/** Shortest rest of the watch between two lists. A slow list is followed by a longer rest, of 30 s at most. */
const REST_MS = 1_000;
const LONGEST_REST_MS = 30_000;
const QUIET_MS = 60_000;
const COMING = 1_000;
const AT_ONCE = 25;
/** A change takes about a second, and longer on a busy machine. Without the watch it would take a minute. */
const LONGEST_MS = 20_000;

async function startWatchingCore(client: ApiClient): Promise<CoreFixture> {
  const watching = Promise.withResolvers<void>();
  const compute = kubernetesCompute({ ...fixture.options, client });
  async function* noted(...watch: Parameters<typeof compute.changes>) {
    for await (const change of compute.changes(...watch)) {
      if ("upTo" in change) watching.resolve();
      yield change;
    }
  }
  const core = await startCore({ ...compute, changes: noted }, undefined, {}, LIST_EVERY_MS);
  await watching.promise;
  return core;
}

/** Creates nodes. Of each three, one goes at once and one is cordoned. */
async function comeAndGo(): Promise<void> {
  let next = 0;
  const each = async () => {
    while (next < COMING) {
      const index = next++;
      const name = `coming-${index}`;
      const [node] = await fixture.cluster.addNodes([
        { name, instanceType: GPU_TYPE, zone: zones[index % zones.length] ?? EMPTY },
      ]);
      if (index % 3 === 0) await node?.remove();
      if (index % 3 === 1) await cordon(name);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, each));
}

const cordon = async (name: string) =>
  must(await fixture.cluster.admin.patch(`/api/v1/nodes/${name}`, { spec: { unschedulable: true } }));

async function listPresent(): Promise<string[]> {
  const { items } = must(await fixture.cluster.admin.get<{ items: Node[] }>("/api/v1/nodes"));
  return items.map(({ metadata, spec }) => `${metadata.name} ${spec.unschedulable ? "cordoned" : "ready"}`).toSorted();
}

it("knows what is there after a thousand nodes came and went, and soon, with a bounded number of lists", async () => {
  const counted = countLists(fixture.client);
  const core = await startWatchingCore(counted.client);
  const listKnown = async () => (await listNodes(core.ctx)).map(({ name, state }) => `${name} ${state}`).toSorted();
  const begun = performance.now();
  await comeAndGo();
  const changedMs = performance.now() - begun;
  const present = await listPresent();
  const known = await fixture.eventually(listKnown, (nodes) => nodes.join() === present.join());
  const knownMs = performance.now() - begun - changedMs;
  const lists = { nodes: counted.count("/api/v1/nodes"), pods: counted.count("/api/v1/pods") };
  const seconds = (changedMs + knownMs) / 1000;

  core.skip(QUIET_MS);
  const cordonedAt = performance.now();
  await cordon("coming-2");
  await fixture.eventually(listKnown, (nodes) => nodes.includes("coming-2 cordoned"));
  const cordonedMs = performance.now() - cordonedAt;
  await core.stop();

  expect(known).toEqual(present);
  expect(known.length).toBeGreaterThan(COMING / 2);
  expect(knownMs).toBeLessThan(LONGEST_MS + LONGEST_REST_MS);
  expect(cordonedMs).toBeLessThan(LONGEST_MS);
  expect(lists.nodes).toBeLessThan(2 + (seconds * 1000) / REST_MS);
  expect(lists.pods).toBeLessThan(2 + (seconds * 1000) / REST_MS);
});
