import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { ComputeNode, Observation, Run } from "#core/ports/compute.ts";
import { RunBound } from "#core/problem.ts";
import { must } from "#tests/cluster/objects.ts";
import { nodeGroupsConformance } from "#tests/conformance/node-groups.ts";
import { logText } from "#tests/fixtures/log-text.ts";
import { apiClient } from "../client/api-client.ts";
import { kubernetesCompute } from "../compute.ts";
import { runsAmong } from "../fixtures/changed-runs-fixture.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { listNodes } from "../nodes/capacity.ts";
import { nodeSlices } from "../nodes/node-slices.ts";
import { buildPaths } from "../paths.ts";

const core = `/api/v1/namespaces/${namespace}`;
const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture([
    { name: "one", instanceType: "p5.48xlarge" },
    { name: "two", instanceType: "p5.48xlarge", labels: { "eks.amazonaws.com/nodegroup": "p5-b" } },
    { name: "shared", instanceType: "m7i.8xlarge" },
  ]);
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

/** Applies a run and waits until it is observed so. */
async function applied(changes: Partial<Run>, holds: (seen: Observation) => boolean) {
  const run = fixtureRun(changes);
  await fixture.compute.apply(run);
  const seen = await until(run, (observation) => observation !== undefined && holds(observation));
  return { run, seen };
}

function until({ uid, run }: Run, holds: (seen: Observation | undefined) => boolean) {
  return fixture.eventually(() => fixture.compute.observe(uid, run), holds);
}

const ofTwoGpus = {
  name: "main",
  image: "berth.test/any:1",
  resources: { limits: { "nvidia.com/gpu": "2", cpu: "1", memory: "1Gi" } },
};

const listPods = async ({ uid }: Run) => {
  const path = `${core}/pods?labelSelector=berth/uid=${uid}`;
  return must(await fixture.cluster.admin.get<{ items: PodSeen[] }>(path)).items;
};

const getPod = async (run: Run) => {
  const [pod] = await listPods(run);
  if (!pod) throw new Error("It has no pod");
  return pod;
};

interface PodSeen {
  readonly metadata: { readonly name: string; readonly annotations: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly [{ readonly resources: unknown }] };
}

// First, because evictions in other tests remove the budget.
describe("the disruption budget", () => {
  /** Tries to evict each pod of a run, as a drain does. Returns the status codes. */
  async function evict(run: Run): Promise<number[]> {
    const statuses: number[] = [];
    for (const { metadata: pod } of await listPods(run)) {
      const metadata = { name: pod.name, namespace };
      const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata };
      statuses.push((await fixture.cluster.admin.post(`${core}/pods/${pod.name}/eviction`, eviction)).status);
    }
    return statuses;
  }
  const ready = async (changes: Partial<Run>) =>
    (await applied({ command: "sleep 3600", ...changes }, ({ state }) => state === "ready")).run;

  it("keeps every pod of every running job, also beside jobs that may be evicted or have ended", async () => {
    const whole = { shares: ["one", "two"].map((node) => ({ node, units: 4 })), gpusPerMachine: 4 };
    const running = [await ready({}), await ready({}), await ready(whole)];
    const evictable = await ready({ isEvictable: true });
    const { run: ended } = await applied({ command: "exit 3" }, ({ state }) => state === "ended");

    expect(await Promise.all(running.map(evict))).toEqual([[429], [429], [429, 429]]);
    expect(await evict(evictable)).toEqual([201]);
    // Its Job may have removed the pod already.
    expect([[201], []]).toContainEqual(await evict(ended));
    expect(await Promise.all(running.map(evict))).toEqual([[429], [429], [429, 429]]);
  });
});

describe("a run that names a node group", () => {
  nodeGroupsConformance(async () => {
    const { compute, nodes, clear } = fixture;
    return { compute, nodes, now: Date.now, pass: sleep, close: clear, command: () => "sleep 3600" };
  });
});

describe("a command", () => {
  it("has exactly its environment, and runs unchanged", async () => {
    const env = { A: "line 1\nline 2\n", B: "\"$(C)\" $C `id` \\ 'x' é🚀", C: "=", EMPTY: "" };
    const command = `node -e 'process.stdout.write(JSON.stringify(process.env))'; echo " $(echo $C) \\$(C)"; exit 5`;

    const { run } = await applied({ env, command }, ({ state }) => state === "ended");

    const log = await logText(fixture.compute.readLog(run.uid, run.run));
    const end = log.lastIndexOf("}") + 1;
    expect(JSON.parse(log.slice(0, end))).toMatchObject(env);
    expect(log.slice(end)).toBe(" = $(C)\n");
    expect(await fixture.compute.observe(run.uid, run.run)).toMatchObject({ exitCode: 5 });
  });

  it.each(["with its Job", "after its Job was deleted by hand"])("leaves no Secret behind %s", async (how) => {
    const parts = { env: { TOKEN: "secret" }, registryLogin: { username: "robot", password: "pass" } };
    const { run } = await applied(parts, ({ state }) => state === "ready");
    const paths = [`${core}/secrets/${run.uid}-r1`, `${core}/secrets/registry-${run.uid}-r1`];
    const statuses = () => Promise.all(paths.map(async (path) => (await fixture.cluster.admin.get(path)).status));
    const there = await statuses();
    const isByHand = how !== "with its Job";
    if (isByHand) await fixture.cluster.admin.remove(`${jobs}/${run.uid}-r1`, { propagationPolicy: "Background" });

    await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: false });

    expect(there).toEqual([200, 200]);
    expect(await statuses()).toEqual([404, 404]);
  });

  it("is pulled with the login of its own run", async () => {
    const parts = { image: "registry.test:5000/team/train:1", registryLogin: { username: "robot", password: 'p"ass' } };
    const { run } = await applied(parts, ({ state }) => state === "ready");

    const name = `registry-${run.uid}-r1`;
    const { type, data } = must(
      await fixture.cluster.admin.get<{ type: string; data: Record<string, string> }>(`${core}/secrets/${name}`),
    );
    expect((await getPod(run)).spec).toMatchObject({ imagePullSecrets: [{ name }] });
    expect(type).toBe("kubernetes.io/dockerconfigjson");
    expect(JSON.parse(Buffer.from(data[".dockerconfigjson"] ?? "", "base64").toString())).toEqual({
      auths: { "registry.test:5000": { username: "robot", password: 'p"ass' } },
    });
  });

  it.each(["apply", "create"])("has its environment although an earlier apply could not %s", async (call) => {
    const run = fixtureRun({ env: { TOKEN: "secret" }, command: 'test "$TOKEN" = secret' });
    const interrupted = kubernetesCompute({
      ...fixture.options,
      client: { ...fixture.client, [call]: () => Promise.reject(new Error("interrupted")) },
    });

    await expect(interrupted.apply(run)).rejects.toThrow("interrupted");
    const between = await fixture.compute.observe(run.uid, 1);
    await fixture.compute.apply(run);

    expect(between).toBeUndefined();
    expect(await until(run, (seen) => seen?.state === "ended")).toMatchObject({ exitCode: 0 });
  });

  it("may use more after a resize", async () => {
    const shared = { instanceType: "m7i.8xlarge", shares: [{ node: "shared", units: 1 }], gpusPerMachine: 0 };
    const resources = { cpus: 1, memoryMb: 1024 };
    const { run } = await applied({ ...shared, resources }, ({ state }) => state === "ready");

    await fixture.compute.resize(run.uid, 1, { cpus: 2, memoryMb: 4096 }, 2);
    await fixture.compute.resize(run.uid, 1, resources, 1);

    const amounts = { cpu: "2", memory: "4Gi" };
    expect((await getPod(run)).spec.containers[0].resources).toMatchObject({ limits: amounts, requests: amounts });
    expect(await fixture.compute.observe(run.uid, 1)).toMatchObject({ state: "ready" });
    expect(await fixture.compute.listNodes()).toContainEqual(
      expect.objectContaining({
        name: "shared",
        units: 32,
        foreignUnits: 0,
        runs: [expect.objectContaining({ uid: run.uid, run: 1, units: 2 })],
      }),
    );
  });
});

describe("the listing of a large cluster", () => {
  it("reads the pods node by node, as fresh as one list and with the same answer", async () => {
    const { client, options } = fixture;
    const shared = { instanceType: "m7i.8xlarge", shares: [{ node: "shared", units: 1 }], gpusPerMachine: 0 };
    const first = await applied({}, ({ state }) => state === "ready");
    const place = { client, paths: buildPaths(options.namespace), deployment: options.deployment };
    const before = await listNodes(place, { mostNodesAtOnce: 0 });
    const { run } = await applied(
      { ...shared, resources: { cpus: 2, memoryMb: 4096 } },
      ({ state }) => state === "ready",
    );

    const sliced = await listNodes(place, { mostNodesAtOnce: 0 });

    const runsIn = (nodes: readonly ComputeNode[]) =>
      nodes.flatMap(({ runs = [] }) => runs.map(({ uid }) => uid)).sort();
    expect(runsIn(before)).toEqual([first.run.uid]);
    expect(runsIn(sliced)).toEqual([first.run.uid, run.uid].sort());
    expect(sliced).toEqual(await fixture.compute.listNodes());
  });

  it("offers nothing of a node whose pods one call had no time for, until the next call reads them", async () => {
    const { client, options } = fixture;
    const place = { client, paths: buildPaths(options.namespace), deployment: options.deployment };
    const slices = nodeSlices();
    const unreadIn = (nodes: readonly ComputeNode[]) => nodes.filter(({ unread }) => unread).length;

    const late = await listNodes(place, { mostNodesAtOnce: 0, slices, enough: AbortSignal.abort() });
    const inTime = await listNodes(place, { mostNodesAtOnce: 0, slices });

    expect([unreadIn(late), unreadIn(inTime)]).toEqual([late.length, 0]);
    expect(late.every(({ units, foreignUnits }) => units === foreignUnits)).toBe(true);
  });
});

describe("the life of a run", () => {
  it("is not ended by an autoscaler that removes its machine", async () => {
    const { run } = await applied({}, ({ state }) => state === "ready");

    expect((await getPod(run)).metadata.annotations).toMatchObject({
      "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
      "karpenter.sh/do-not-disrupt": "true",
    });
  });

  it("does not begin if its parts took the whole deadline of a call", async () => {
    const { url, ca, token } = fixture.cluster.controlPlane.getAccess("berth");
    const deadlineMs = 1_000;
    const client = apiClient({ url, ca, token: async () => token, deadlineMs });
    const apply = (async (...args: Parameters<typeof client.apply>) => {
      const [made] = await Promise.all([client.apply(...args), sleep(deadlineMs + 500)]);
      return made;
    }) as typeof client.apply;
    const slow = kubernetesCompute({ ...fixture.options, client: { ...client, apply } });
    const run = fixtureRun({ env: { TOKEN: "secret" } });

    await expect(slow.apply(run)).rejects.toMatchObject({ name: "ApiUnreachable" });
    client.close();

    expect((await fixture.cluster.admin.get(`${jobs}/${run.uid}-r1`)).status).toBe(404);
    await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: false });
  });

  it("ends without a pod that could continue unobserved", async () => {
    const { run } = await applied({}, ({ state }) => state === "ready");

    await fixture.compute.remove(run.uid, 1, { graceSeconds: 10, force: false });
    await until(run, (seen) => seen === undefined);

    const path = `${core}/pods?labelSelector=berth/uid=${run.uid}`;
    expect(must(await fixture.cluster.admin.get<{ items: unknown[] }>(path)).items).toEqual([]);
  });

  it("costs one request for each created and each removed object, and few others", async () => {
    const made: string[] = [];
    const { create, apply, patch, remove } = fixture.client;
    const counted =
      <Args extends [string, ...unknown[]], Answer>(call: (...args: Args) => Answer, verb: string) =>
      (...args: Args) => {
        made.push(`${verb} ${args[0].split("/").at(-2)}`);
        return call(...args);
      };
    const run = fixtureRun({ env: { A: "b" } });
    const compute = kubernetesCompute({
      ...fixture.options,
      client: {
        ...fixture.client,
        create: counted(create, "create") as typeof create,
        apply: counted(apply, "apply") as typeof apply,
        patch: counted(patch, "patch") as typeof patch,
        remove: counted(remove, "remove") as typeof remove,
      },
    });
    const observe = () => compute.observe(run.uid, 1);

    await compute.apply(run);
    for (let passes = 0; passes < 3; passes += 1) await fixture.eventually(observe, (seen) => seen?.state === "ready");
    await compute.remove(run.uid, 1, { graceSeconds: 10, force: false });
    await fixture.eventually(observe, (seen) => seen === undefined);

    expect(made).toEqual([
      "apply secrets",
      `create ${namespace}`,
      // Returns the node of its pod.
      "patch jobs",
      "remove jobs",
      "remove secrets",
    ]);
  });
});

describe("a run of two machines", () => {
  const shares = ["two", "one"].map((node) => ({ node, units: 8 }));
  const parts = ({ uid }: Run) => [
    `${core}/services/run-${uid}-r1`,
    `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/run-${uid}-r1`,
  ];
  const statuses = (run: Run) =>
    Promise.all(parts(run).map(async (path) => (await fixture.cluster.admin.get(path)).status));

  it("gives each its rank and the address of the first, and takes its network along", async () => {
    const file = `${fixture.files}/ranks`;
    const command = `echo "$NODE_RANK of $NNODES at $MASTER_ADDR:$MASTER_PORT with $BERTH_GPUS" >>${file}; sleep 3600`;
    const { run, seen } = await applied({ shares, gpusPerMachine: 8, command }, ({ state }) => state === "ready");
    const there = await statuses(run);
    const lines = await fixture.eventually(
      async () => (await readFile(file, "utf8").catch(() => "")).trim().split("\n").toSorted(),
      ({ length }) => length === 2,
    );

    await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: false });

    const at = `machine-0.run-${run.uid}-r1:29500`;
    expect(lines).toEqual([`0 of 2 at ${at} with 8`, `1 of 2 at ${at} with 8`]);
    expect(seen?.nodes.map(({ name }) => name)).toEqual(["two", "one"]);
    expect([there, await statuses(run)]).toEqual([
      [200, 200],
      [404, 404],
    ]);
  });

  it("is hidden before its first Job exists, unless it was abandoned", async () => {
    const run = fixtureRun({ shares, gpusPerMachine: 8 });
    const create = ((path: string, job: { metadata: { name: string } }) =>
      job.metadata.name.endsWith("-m1")
        ? fixture.client.create(path, job)
        : Promise.reject(new Error("interrupted"))) as typeof fixture.client.create;
    const interrupted = kubernetesCompute({ ...fixture.options, client: { ...fixture.client, create } });
    const later = kubernetesCompute({ ...fixture.options, now: () => Date.now() + 901_000 });

    await expect(interrupted.apply(run)).rejects.toThrow("interrupted");
    const [draft, leftover] = [await fixture.compute.observe(run.uid, 1), await later.observe(run.uid, 1)];
    await fixture.compute.apply(run);
    const made = await until(run, (seen) => seen?.state === "ready");

    expect(draft).toBeUndefined();
    expect(leftover).toMatchObject({ state: "ended", terminating: true, halfMade: true });
    expect(made?.halfMade).toBeUndefined();
    expect(made).toMatchObject({ nodes: [{ name: "two" }, { name: "one" }], terminating: false });
  });

  it("leaves nothing of an unfinished creation", async () => {
    const run = fixtureRun({ shares, gpusPerMachine: 8, env: { A: "b" } });
    await fixture.compute.apply(run);
    await until(run, (seen) => seen?.state === "ready");
    await fixture.cluster.admin.remove(`${jobs}/${run.uid}-r1`, { propagationPolicy: "Background" });

    const beheaded = await fixture.eventually(
      () => kubernetesCompute({ ...fixture.options, now: () => Date.now() + 901_000 }).observe(run.uid, 1),
      (seen) => seen?.reason?.includes("deleted from outside") ?? false,
    );
    await fixture.compute.remove(run.uid, 1, { graceSeconds: 1, force: false });
    await until(run, (seen) => seen === undefined);

    expect(beheaded).toMatchObject({ exitCode: null, reason: expect.stringContaining("deleted from outside") });
    expect(await statuses(run)).toEqual([404, 404]);
    expect((await fixture.cluster.admin.get(`${core}/secrets/${run.uid}-r1`)).status).toBe(404);
    expect((await fixture.cluster.admin.get(`${jobs}/${run.uid}-r1-m1`)).status).toBe(404);
  });

  it("is removed as unbound while one machine is missing, although the other started", async () => {
    const halves = ["one", "no-such-node"].map((node) => ({ node, units: 8 }));
    const { run, seen } = await applied({ shares: halves, gpusPerMachine: 8 }, ({ started }) => started);

    await fixture.compute.remove(run.uid, 1, { graceSeconds: 10, force: false, unlessBound: true });
    await until(run, (left) => left === undefined);

    expect(seen).toMatchObject({ state: "unbound", nodes: [{ name: "one" }], terminating: false });
  });

  it("ends with the first failed machine, and with all of them", async () => {
    const command = 'if [ "$NODE_RANK" = 1 ]; then exit 7; fi; while :; do sleep 1; done';

    const { seen } = await applied({ shares, gpusPerMachine: 8, command }, ({ state }) => state === "ended");

    expect(seen).toMatchObject({ exitCode: 7, started: true });
  });

  it("is unbound while one machine is missing, and shows why", async () => {
    await applied({ shares: [{ node: "two", units: 1 }] }, ({ state }) => state === "ready");

    const { run, seen } = await applied({ shares, gpusPerMachine: 8 }, ({ reason }) => reason !== null);

    expect(seen).toMatchObject({ state: "unbound", reason: expect.stringContaining("Insufficient nvidia.com/gpu") });
    expect((await fixture.compute.observe(run.uid, 1))?.nodes.map(({ name }) => name)).toEqual(["one"]);
  });
});

describe("a run that is removed unless it is bound", () => {
  const whole = (node: string): Partial<Run> => ({ shares: [{ node, units: 8 }], gpusPerMachine: 8 });
  const unlessBound = { graceSeconds: 10, force: false, unlessBound: true } as const;
  /** Replaces the answer of the first list of pods by the result of `seen`. */
  const listing = (seen: <Listed>(listed: Listed) => Promise<Listed>) => {
    let isFirst = true;
    const list = (async (path: string, keep: (item: object) => readonly object[]) => {
      const listed = await fixture.client.list(path, keep);
      if (!isFirst || !path.includes("/pods?")) return listed;
      isFirst = false;
      return seen(listed);
    }) as typeof fixture.client.list;
    return kubernetesCompute({ ...fixture.options, client: { ...fixture.client, list } });
  };

  it("continues if it was bound just after it was seen unbound", async () => {
    const { run: neighbour } = await applied(whole("one"), ({ state }) => state === "ready");
    const { run } = await applied({}, ({ reason }) => reason !== null);
    const late = listing(async (listed) => {
      await fixture.compute.remove(neighbour.uid, 1, { graceSeconds: 0, force: false });
      await until(run, (seen) => seen?.state === "ready");
      return listed;
    });

    await expect(late.remove(run.uid, 1, unlessBound)).rejects.toThrow(RunBound);

    expect(await fixture.compute.observe(run.uid, 1)).toMatchObject({ state: "ready", terminating: false });
  });

  it("counts as bound if its pod came after it was seen without one", async () => {
    const { run } = await applied({}, ({ state }) => state === "ready");
    const late = listing(async (listed) => ({ ...listed, items: [] }));

    await expect(late.remove(run.uid, 1, unlessBound)).rejects.toThrow(RunBound);
  });

  it("is removed while only one of its machines is bound and nothing has started", async () => {
    await applied(whole("two"), ({ state }) => state === "ready");
    const shares = ["two", "one"].map((node) => ({ node, units: 8 }));
    const half = { shares, gpusPerMachine: 8, image: "berth.test/endless-pull:1" };
    const { run, seen } = await applied(half, ({ nodes, reason }) => nodes.length === 1 && reason !== null);

    await fixture.compute.remove(run.uid, 1, unlessBound);

    expect(seen).toMatchObject({ state: "unbound", started: false });
    expect(await until(run, (left) => left === undefined)).toBeUndefined();
  });
});

describe("a run that is removed by force", () => {
  it("has a moment to end, and stays visible, if its node answers", async () => {
    const command = "trap '' TERM; echo deaf; while :; do sleep 1; done";
    const { run } = await applied({ command }, ({ state }) => state === "ready");
    await fixture.eventually(
      () => logText(fixture.compute.readLog(run.uid, 1)),
      (text) => text !== "",
    );

    await fixture.compute.remove(run.uid, 1, { graceSeconds: 60, force: true });

    expect(await fixture.compute.observe(run.uid, 1)).toMatchObject({ terminating: true });
    expect(await until(run, (seen) => seen === undefined)).toBeUndefined();
  });
});

describe("the reason of a failure", () => {
  it("names a missing image", async () => {
    const { seen } = await applied({ image: "berth.test/none:1" }, ({ state }) => state === "ended");

    expect(seen).toMatchObject({ started: false, exitCode: null, reason: "Image not found", terminating: false });
  });

  it("names too much memory", async () => {
    const { seen } = await applied({ image: "berth.test/greedy:1" }, ({ state }) => state === "ended");

    expect(seen).toMatchObject({ started: true, exitCode: null, reason: expect.stringContaining("more memory") });
  });

  it("names a missing node", async () => {
    const { seen } = await applied({ shares: [{ node: "none", units: 1 }] }, ({ reason }) => reason !== null);

    expect(seen).toMatchObject({
      state: "unbound",
      nodes: [],
      reason: expect.stringMatching(/^0\/3 nodes are available: .*NodeAffinity/),
    });
  });

  it("names occupied GPUs", async () => {
    await applied({ shares: [{ node: "one", units: 8 }], gpusPerMachine: 8 }, ({ state }) => state === "ready");

    const { seen } = await applied({}, ({ reason }) => reason !== null);

    expect(seen).toMatchObject({ state: "unbound", reason: expect.stringContaining("Insufficient nvidia.com/gpu") });
  });

  it("names a quota, which only an event shows", async () => {
    const { admin } = fixture.cluster;
    const quotas = `${core}/resourcequotas`;
    const hard = { "requests.nvidia.com/gpu": "1" };
    must(await admin.post(quotas, { metadata: { name: "gpus" }, spec: { hard } }));
    onTestFinished(async () => void (await admin.remove(`${quotas}/gpus`)));
    const two = { shares: [{ node: "one", units: 2 }], gpusPerMachine: 2 };
    // The API server enforces a quota some time after its creation.
    await fixture.eventually(
      () => admin.post(`${core}/pods?dryRun=All`, { metadata: { name: "two" }, spec: { containers: [ofTwoGpus] } }),
      ({ status, body }) => status === 403 && JSON.stringify(body).includes("exceeded quota"),
    );

    const { seen } = await applied(two, ({ reason }) => reason !== null);

    expect(seen).toMatchObject({ state: "unbound", reason: "The quota gpus of the cluster is used up" });
  });

  it("names a deleted pod", async () => {
    const { run } = await applied({}, ({ state }) => state === "ready");

    await fixture.cluster.admin.remove(`${core}/pods/${(await getPod(run)).metadata.name}`);

    expect(await until(run, (seen) => seen?.state === "ended")).toMatchObject({
      exitCode: null,
      reason: "the environment's pod was deleted from outside",
    });
  });

  it("names an evicted pod", async () => {
    const command = "trap '' TERM; while :; do sleep 1; done";
    const { run } = await applied({ command }, ({ state }) => state === "ready");
    const { name } = (await getPod(run)).metadata;

    await fixture.evict(name);

    expect(await until(run, (seen) => seen?.state === "ended")).toMatchObject({
      exitCode: null,
      reason: "it was evicted from its machine",
      isDisrupted: true,
    });
  });
});

describe("two control planes in one namespace", () => {
  it("see and count only their own runs", async () => {
    const otherCompute = kubernetesCompute({ ...fixture.options, deployment: "other" });
    const { run } = await applied({ env: { A: "b" } }, ({ state }) => state === "ready");
    const entry = async () => (await otherCompute.listNodes()).find(({ name }) => name === "one");

    const listed = await otherCompute.listRuns();
    const counted = await entry();
    const ending = new AbortController();
    const theirs = fixtureRun();
    await otherCompute.apply(theirs);
    const { value: first } = await runsAmong(otherCompute.changes(ending.signal)).next();
    ending.abort();
    const [ofOther, ofFixture] = [await otherCompute.listRuns(), await fixture.compute.listRuns()];
    await otherCompute.remove(theirs.uid, 1, { graceSeconds: 0, force: false });

    expect(listed).toEqual([]);
    expect(counted).toMatchObject({ foreignUnits: 1, runs: [] });
    expect(first).toMatchObject({ uid: theirs.uid });
    expect([ofOther, ofFixture].map((refs) => refs.map(({ uid }) => uid))).toEqual([[theirs.uid], [run.uid]]);
    const { metadata } = must(await fixture.cluster.admin.get(`${core}/secrets/${run.uid}-r1`));
    expect(metadata.labels).toMatchObject({ "berth/deployment": "fixture" });
  });
});

describe("foreign objects with a run's labels", () => {
  it("are neither listed nor removed", async () => {
    const { run } = await applied({}, ({ state }) => state === "ready");
    const labels = { "app.kubernetes.io/managed-by": "berth", "berth/uid": run.uid, "berth/run": "1" };
    const container = { name: "main", image: "berth.test/any:1" };
    must(
      await fixture.cluster.admin.post(`${core}/pods`, {
        metadata: { name: "foreign", labels },
        spec: { containers: [container] },
      }),
    );
    const template = { metadata: { labels }, spec: { restartPolicy: "Never", containers: [container] } };
    must(await fixture.cluster.admin.post(jobs, { metadata: { name: "foreign", labels }, spec: { template } }));

    await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: true });
    await until(run, (seen) => seen === undefined);
    const listed = await fixture.compute.listRuns();

    expect(listed).toEqual([]);
    for (const path of [`${core}/pods/foreign`, `${jobs}/foreign`]) {
      const { metadata } = must(await fixture.cluster.admin.get(path));
      expect(metadata.deletionTimestamp).toBeUndefined();
      await fixture.cluster.admin.remove(path, { propagationPolicy: "Background" });
    }
  });
});

describe("signals", () => {
  it("survive an outage of the API server, with the changes meanwhile", async () => {
    const { run } = await applied({}, ({ state }) => state === "ready");
    const ending = new AbortController();
    const changes = runsAmong(fixture.compute.changes(ending.signal));
    expect((await changes.next()).value).toEqual({ uid: run.uid, run: 1, key: run.key });

    await fixture.cluster.controlPlane.restart("apiserver");
    const { run: later } = await applied({}, ({ state }) => state === "ready");

    for (;;) {
      const { value } = await changes.next();
      if (value?.uid === later.uid) break;
    }
    ending.abort();
    expect((await changes.next()).done).toBe(true);
  });
});
