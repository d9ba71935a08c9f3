import { expect, it } from "vitest";
import { compareOrphans } from "#core/admin/orphans.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { runWatcher } from "#core/reconciler/watcher-lease.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { kubernetesCompute } from "./compute.ts";
import { type MemoryApi, memoryApi } from "./fixtures/memory-api-fixture.ts";
import type { Node, Pod } from "./objects.ts";

const MINUTE = 60_000;
const namespace = "environments";
const ENVIRONMENTS = 1_000;
const NODES = 1_000;
/** Network, proxy, disks, GPUs and logs: about as many as a cluster on EKS has per node. */
const DAEMONS = 5;
/** About the size of `kubectl get pod -o json`, with managed fields. */
const BYTES_OF_OBJECT = 8 * 1024;

/** The command computes for twenty seconds, longer than this test takes on a busy machine. */
const LONGEST_MS = 20 * MINUTE;

it(`an hour of ${ENVIRONMENTS} idle environments on ${NODES} nodes costs an API server at most 500 requests`, {
  timeout: LONGEST_MS,
}, async () => {
  const { world, api } = await cluster();
  await createAll(world);
  // The first follower hints every run, which is reconciled then.
  await followForTenMinutes(world, api);
  const before = await active(world);
  api.requests.length = 0;

  for (let ended = 0; ended < 6; ended += 1) await followForTenMinutes(world, api);

  // Each holder of the watch lists the nodes once: a watch of 1,000 nodes needs their state to find what changed.
  const listings = getCount(api, "list /api/v1/nodes") + getCount(api, "list /api/v1/pods");
  const watches = api.requests.filter((request) => request.startsWith("watch ")).length;
  const handovers = getCount(api, "get ");
  const sweeps = api.requests.length - listings - watches - handovers;
  expect({ listings, watches, handovers, sweeps }).toEqual({
    listings: 60 * (1 + 4) + 6,
    watches: 12 * 4,
    handovers: 6 * 3,
    sweeps: 12 * 9,
  });
  expect(api.requests.length).toBeLessThanOrEqual(500);
  const after = await active(world);
  expect([before.length, after.length]).toEqual([ENVIRONMENTS, ENVIRONMENTS]);
  // Each was reconciled every five minutes all the same.
  expect(Math.min(...after)).toBeGreaterThan(world.clock.now());
});

async function cluster(): Promise<{ readonly world: MemoryWorld; readonly api: MemoryApi }> {
  const world = await memoryWorld({ nodes: [] });
  const { now } = world.clock;
  // Berth does not know the other types, which run foreign pods.
  const nodes = Array.from({ length: NODES }, (_, at) =>
    nodeAt(at, at < ENVIRONMENTS / 8 ? "p5.48xlarge" : "r9.large"),
  );
  const pods = nodes.flatMap(listDaemons);
  const api = memoryApi({ namespace, nodes, pods, bytesOfObject: BYTES_OF_OBJECT, now });
  const getMachineState = async () => "running" as const;
  const compute = kubernetesCompute({ client: api.client, namespace, deployment: "one", now, getMachineState });
  Object.assign(world.ctx, { compute });
  return { world, api };
}

async function createAll(world: MemoryWorld): Promise<void> {
  await world.advance(MINUTE);
  for (let n = 0; n < ENVIRONMENTS; n += 1) {
    const user = world.as(`owner-${n % 100}`);
    await createEnvironment(user, newEnvironment(`job-${n}`, { gpus: 1, hours: 24 }));
    if (n % 40 === 39) await world.deliver();
  }
  await world.advance(MINUTE);
}

/** One holder of the watch until the next one has it, with both schedules. */
async function followForTenMinutes(world: MemoryWorld, api: MemoryApi): Promise<void> {
  const ending = new AbortController();
  const beganAt = world.clock.now();
  const passed = () => world.clock.now() - beganAt;
  const sleep = async (ms: number) => {
    await api.watched(4);
    await world.advance(ms);
    api.endWatches();
    if (passed() % (5 * MINUTE) === 0) await compareOrphans(world.ctx);
    if (passed() >= 10 * MINUTE) ending.abort();
  };
  await runWatcher({ ...world.ctx, clock: { ...world.clock, sleep } }, ending.signal);
}

function getCount({ requests }: MemoryApi, subject: string): number {
  return requests.filter((request) => (subject.endsWith(" ") ? request.startsWith(subject) : request === subject))
    .length;
}

/** Due times of active environments. */
async function active({ table }: MemoryWorld): Promise<number[]> {
  const items = await table.all();
  return items.flatMap(({ phase, dueAt }) => (phase === "active" ? [Number(dueAt ?? 0)] : []));
}

function nodeAt(at: number, type: string): Node {
  return {
    metadata: {
      name: `node-${at}`,
      uid: `node-uid-${at}`,
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
      labels: { "node.kubernetes.io/instance-type": type, "topology.kubernetes.io/zone": "us-east-1a" },
    },
    spec: { providerID: `aws:///us-east-1a/i-${at}` },
    status: {
      allocatable: { cpu: "191", memory: "2000Gi", "nvidia.com/gpu": "8", "ephemeral-storage": "1000Gi" },
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

function listDaemons({ metadata: { name } }: Node): Pod[] {
  return Array.from({ length: DAEMONS }, (_, at) => ({
    metadata: {
      name: `daemon-${at}-${name}`,
      namespace: "kube-system",
      uid: `daemon-${at}-${name}`,
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: { nodeName: name, containers: [{ name: "main", resources: { requests: { cpu: "100m" } } }] },
    status: { phase: "Running" as const },
  }));
}
