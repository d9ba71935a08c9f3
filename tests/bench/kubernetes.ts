import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Node } from "#kubernetes/objects.ts";
import { buildBinary, whyNotBuilt } from "../cluster/binary.ts";
import type { KubeClient } from "../cluster/client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { getJobs, getPods, jobNamed, must } from "../cluster/objects.ts";
import { imageThatEnds, imageThatLives, namespace, startBenchCluster, type WatchedRuns, watchRuns } from "./cluster.ts";
import { cancelJob, parseTime, submitJob, untilActive } from "./core/jobs.ts";
import { type Measure, percentileRows, type Row } from "./measure.ts";
import { type LocalStack, readCpu, until, withStack } from "./server/local-stack.ts";
import { countRequests, type ServerRequests } from "./server/server-requests.ts";

const nodes = Number(process.env.BERTH_BENCH_NODES ?? 50);
const jobs = Number(process.env.BERTH_BENCH_JOBS ?? nodes * 8);
const single = 30;
/** Jobs that fill one node. As many others wait. */
const handed = 8;
const atOnce = 16;
/** Limit of waiting jobs per user (docs/operate.md). Further jobs are submitted as earlier ones start. */
const mostWaiting = 2_000;
const big = "p5.48xlarge";
const name = "p5e.48xlarge";
/**
 * An earlier end frees its GPUs only 43 s after the job became active, because until then a paused worker could start
 * it again (docs/architecture/consistency.md#paused-workers).
 */
const longRunMs = 45_000;
/** Enough for a busy machine and ten thousand jobs. */
const patienceMs = 120_000 + jobs * 100;
/** Bound of the CPU time that a bare Job takes of the control plane, over that of Berth's job. */
const leastRatio = 0.6;

/**
 * The embedded stack on a real control plane with pretend nodes. BERTH_BENCH_NODES=1000 BERTH_BENCH_JOBS=10000 is the
 * full size.
 */
export const kubernetes: Measure = {
  name: "kubernetes",
  async run() {
    const missing = await whyNotBuilt(process.env);
    if (missing !== undefined) throw new Error(`A control plane needs Go to build it: ${missing}`);
    await buildBinary(process.env);
    const cluster = await startBenchCluster({ [big]: nodes, [name]: 1 });
    try {
      const idle = await idleUse(cluster);
      const bare = await bareRate(cluster, idle);
      const runs = watchRuns(cluster);
      const settings = {
        COMPUTE: "kubernetes",
        KUBECONFIG: join(cluster.controlPlane.home, "berth.kubeconfig"),
        MAX_WAITING_PER_USER: String(mostWaiting),
      };
      const rows = await withStack(
        "",
        async (stack) => [
          ...(await oneByOne(stack, runs)),
          ...(await handOver(stack, runs)),
          ...(await rate(stack, cluster, runs, { bare, idle })),
        ],
        settings,
      );
      await runs.stop();
      return rows;
    } finally {
      await cluster.stop();
    }
  },
};

/** Jobs per second, and per job the CPU time of the control plane (ms) and the requests of all its clients. */
interface Rate {
  readonly perSecond: number;
  readonly serverMs: number;
  readonly requests: number;
}

const idleMs = 10_000;

/** Returns the CPU time of the idle control plane per ms: heartbeats of nodes, which only time needs. */
async function idleUse(cluster: Cluster): Promise<number> {
  await until(async () => {
    const { body } = await cluster.admin.get<{ items: readonly Node[] }>("/api/v1/nodes");
    const isNew = ({ spec }: Node) => spec.taints?.some(({ key }) => key.startsWith("node.kubernetes.io/"));
    return body.items.some(isNew) ? undefined : true;
  }, patienceMs);
  const before = cpuOfServers(cluster);
  await sleep(idleMs);
  return (cpuOfServers(cluster) - before) / idleMs;
}

/**
 * Measures Jobs without Berth, from the first request until the last pod is gone. A Job is deleted once it is complete.
 * The Jobs are in Berth's namespace, so the same quota applies.
 */
async function bareRate(cluster: Cluster, idle: number): Promise<Rate> {
  const { admin } = cluster;
  const place = namespace;
  const runs = watchRuns(cluster);
  const requestsBefore = countOwn(await countRequests(cluster));
  const [begun, cpuBefore] = [Date.now(), cpuOfServers(cluster)];
  const container = { image: imageThatEnds(0) };
  const options = { propagationPolicy: "Background" };
  const removing = inParallel(jobs, async (n) => {
    const name = await until(() => (runs.completed.size > n ? [...runs.completed.keys()][n] : undefined), patienceMs);
    must(await admin.remove(`${getJobs(place)}/${name}`, options));
  });
  await Promise.all([
    removing,
    inParallel(jobs, (n) => makeBare(admin, place, jobNamed(`job-${n}`, { gpus: 1, container }))),
  ]);
  await until(() => (runs.removed.size >= jobs ? true : undefined), patienceMs);
  const perSecond = (jobs * 1000) / (Math.max(...runs.removed.values()) - begun);
  const serverMs = (cpuOfServers(cluster) - cpuBefore - idle * (Date.now() - begun)) / jobs;
  const requests = (countOwn(await countRequests(cluster)) - requestsBefore) / jobs;
  await runs.stop();
  await until(async () => {
    const { body } = await admin.get<{ items: readonly object[] }>(`${getPods(place)}?limit=1`);
    return body.items.length === 0 ? true : undefined;
  }, patienceMs);
  return { perSecond, serverMs, requests };
}

/** Retries a refused create, as Berth does: the quota accepts only one of several concurrent creates. */
async function makeBare(admin: KubeClient, place: string, job: object): Promise<void> {
  for (;;) {
    const answer = await admin.post(getJobs(place), job);
    if (answer.status !== 409) return void must(answer);
  }
}

/** Counts the requests of all clients, without the heartbeats of nodes, which only time needs. */
function countOwn(requests: ServerRequests): number {
  return [...requests].reduce((sum, [kind, count]) => sum + (kind === "PATCH leases" ? 0 : count), 0);
}

function cpuOfServers({ controlPlane }: Cluster): number {
  return controlPlane.processIds.reduce((sum, pid) => sum + readCpu(pid), 0);
}

/** Submits jobs one by one on an idle stack, then cancels them one by one. */
async function oneByOne(stack: LocalStack, runs: WatchedRuns): Promise<Row[]> {
  const [toActive, toRemoved]: [number[], number[]] = [[], []];
  const ids: string[] = [];
  for (let n = 0; n < single; n++) {
    const begun = performance.now();
    const id = await submitJob(stack, 1, { image: imageThatLives });
    await untilActive(stack, id, patienceMs);
    toActive.push(performance.now() - begun);
    ids.push(id);
  }
  for (const id of ids) {
    const uid = formatUid(stack, id);
    const begun = Date.now();
    await cancelJob(stack, id);
    toRemoved.push((await until(() => runs.removed.get(uid), patienceMs)) - begun);
  }
  return [
    ...percentileRows("cluster: submit → active, no disk", toActive, { p50: 500, p99: 2_000 }),
    ...percentileRows("cluster: cancel → its pod is gone", toRemoved, { p99: 1_000 }),
  ];
}

/** Hands one node over from jobs that end by themselves to waiting jobs. */
async function handOver(stack: LocalStack, runs: WatchedRuns): Promise<Row[]> {
  const from = stack.lines.length;
  const submit = (image: string) => submitJob(stack, 1, { instance_type: name, image });
  const first: string[] = [];
  for (let n = 0; n < handed; n++) first.push(await submit(imageThatEnds(longRunMs)));
  const next: string[] = [];
  for (let n = 0; n < handed; n++) next.push(await submit(imageThatLives));
  for (const id of next) await untilActive(stack, id, patienceMs);

  const freed = first.map((id) => {
    const uid = formatUid(stack, id);
    const line = stack.lines.slice(from).find(({ uid: of, did }) => of === uid && did === "released");
    return { at: line ? parseTime(line) : Number.NaN, endedAt: runs.ended.get(uid) ?? Number.NaN };
  });
  const freedAt = freed.map(({ at }) => at).sort((a, b) => a - b);
  const createdAt = next.map((id) => runs.created.get(formatUid(stack, id)) ?? Number.NaN).sort((a, b) => a - b);
  for (const id of next) await cancelJob(stack, id);
  const note = `active for ${longRunMs / 1000} s; from what the kubelet said to the log line`;
  return [
    ...percentileRows(
      "cluster: capacity freed → next Job is there",
      createdAt.map((at, n) => at - (freedAt[n] ?? 0)),
      {
        p99: 1_000,
        note: "all that one node held, at once",
      },
    ),
    ...percentileRows(
      "cluster: end of a command → GPUs free",
      freed.map(({ at, endedAt }) => at - endedAt),
      {
        p99: 2_000,
        note,
      },
    ),
  ];
}

/** Runs all jobs at once until the last pod is gone. Counts requests until the last job is completed. */
async function rate(
  stack: LocalStack,
  cluster: Cluster,
  runs: WatchedRuns,
  { bare, idle }: { readonly bare: Rate; readonly idle: number },
): Promise<Row[]> {
  await until(() => (runs.removed.size >= runs.created.size ? true : undefined), patienceMs);
  const from = stack.lines.length;
  const before = { made: runs.created.size, requests: await countRequests(cluster) };
  const begun = Date.now();
  const cpuBefore = { servers: cpuOfServers(cluster), stack: readCpu(stack.pid) };
  await inParallel(jobs, async (n) => {
    const hasRoom = () => n - (runs.created.size - before.made) < mostWaiting - atOnce;
    await until(() => (hasRoom() ? true : undefined), patienceMs);
    await submitJob(stack, 1, { image: imageThatEnds(0) });
  });
  await until(() => (runs.removed.size - before.made >= jobs ? true : undefined), patienceMs);
  const perSecond = (jobs * 1000) / (Math.max(...runs.removed.values()) - begun);
  const serverMs = (cpuOfServers(cluster) - cpuBefore.servers - idle * (Date.now() - begun)) / jobs;
  const stackMs = (readCpu(stack.pid) - cpuBefore.stack) / jobs;
  const getLines = (did: string) => stack.lines.slice(from).filter((line) => line.did === did).length;
  await until(async () => {
    // Each check scans the whole log and uses the CPU that is measured.
    await sleep(500);
    return getLines("completed") >= jobs ? true : undefined;
  }, patienceMs);
  const requests = await countRequests(cluster);
  const input = (kind: string) => ((requests.get(kind) ?? 0) - (before.requests.get(kind) ?? 0)) / jobs;
  const note = `${jobs} jobs through ${nodes} nodes of 8 GPUs`;
  const toDeletion = `${note}, each created, run to its end and deleted`;
  return [
    { name: "bare Jobs until their pods are gone", value: bare.perSecond, unit: "/s", note: toDeletion },
    { name: "cluster: jobs until their pods are gone", value: perSecond, unit: "/s", note: toDeletion },
    {
      name: "cluster: bare over it, beside the stack",
      value: bare.perSecond / perSecond,
      unit: "×",
      note: "stack, control plane, kubelets and clients share the processors of this machine",
    },
    { name: "idle: CPU of the control plane", value: idle * 1000, unit: "ms/s", note: `heartbeats of ${nodes} nodes` },
    { name: "bare: CPU of the control plane per Job", value: bare.serverMs, unit: "ms" },
    { name: "cluster: CPU of the control plane per job", value: serverMs, unit: "ms" },
    { name: "cluster: that over a bare Job's", value: serverMs / bare.serverMs, unit: "×", limit: 1 / leastRatio },
    { name: "bare: requests per Job", value: bare.requests, unit: "", note: "by all clients" },
    {
      name: "cluster: requests per job",
      value: (countOwn(requests) - countOwn(before.requests)) / jobs,
      unit: "",
      note: "by all clients, until its last word",
    },
    { name: "cluster: CPU of the stack per job", value: stackMs, unit: "ms" },
    { name: "cluster: Jobs made per job", value: (runs.created.size - before.made) / jobs, unit: "", limit: 1 },
    {
      name: "cluster: grants that nothing could be bound with",
      value: getLines("withdraws its grant"),
      unit: "",
      limit: 0,
    },
    ...["GET jobs", "LIST jobs", "LIST pods", "GET nodes", "PATCH jobs"].map((kind) => ({
      name: `cluster: ${kind} per job`,
      value: input(kind),
      unit: "",
      note: "by all clients, until its last word",
    })),
  ];
}

function formatUid(stack: LocalStack, id: string): string {
  const line = stack.lines.find(({ event, look: message }) => event === "look" && String(message).endsWith(`|${id}`));
  return String(line?.uid);
}

async function inParallel(count: number, act: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const each = async () => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, each));
}
