import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KubeObject } from "./client.ts";
import { type Cluster, seen, startCluster } from "./cluster.ts";
import { scripted } from "./container/script.ts";
import { isAlive } from "./container/supervisor-fixture.ts";
import type { Pod } from "./kubelet/pod.ts";
import {
  endsWith,
  getJobs,
  getPods,
  type Job,
  type JobOptions,
  makeJob,
  makeNamespace,
  must,
  podsOfJob,
} from "./objects.ts";
import { type WatchEvent, watchOnce } from "./watch.ts";

let cluster: Cluster;
let namespace: string;

beforeAll(async () => {
  cluster = await startCluster();
  namespace = await makeNamespace(cluster.admin, "pods");
  await cluster.addNodes([
    { name: "gpu-a", instanceType: "p5.48xlarge", zone: "us-east-1a" },
    { name: "gpu-b", instanceType: "p5.48xlarge", zone: "us-east-1b", labels: { "test/row": "7" } },
    { name: "shared", instanceType: "m7i.8xlarge" },
  ]);
});

afterAll(() => cluster.stop());

/** Creates a Job, waits until `test` holds for its pod, and returns the pod. */
async function getPod(name: string, options: JobOptions, test: (pod: Pod) => boolean): Promise<Pod> {
  await makeJob(cluster.admin, namespace, name, options);
  return seen<Pod>(cluster.admin, podsOfJob(namespace, name), test);
}

const isRunning = ({ status }: Pod) => status.phase === "Running";
const isOver = ({ status }: Pod) => status.phase === "Succeeded" || status.phase === "Failed";
const findCondition = ({ status }: Pod, type: string) =>
  status.conditions?.find((condition) => condition.type === type);

describe("scheduling", () => {
  it("runs a pinned pod on its node", async () => {
    const pod = { nodeSelector: { "kubernetes.io/hostname": "gpu-b", "test/row": "7" } };

    const { spec, metadata } = await getPod("pinned", { gpus: 1, pod }, isRunning);

    expect(spec.nodeName).toBe("gpu-b");
    expect(metadata.labels).toMatchObject({ "topology.kubernetes.io/zone": "us-east-1b" });
  });

  it("reports why a pod fits nowhere", async () => {
    const { status } = await getPod(
      "too-large",
      { gpus: 16 },
      (pod) => findCondition(pod, "PodScheduled") !== undefined,
    );

    expect(status.conditions).toContainEqual(
      expect.objectContaining({
        type: "PodScheduled",
        status: "False",
        reason: "Unschedulable",
        message: expect.stringContaining("Insufficient nvidia.com/gpu"),
      }),
    );
  });

  it("keeps pods without a toleration off nodes with GPUs", async () => {
    const { spec } = await getPod("no-toleration", { pod: { tolerations: [] } }, isRunning);

    expect(spec.nodeName).toBe("shared");
  });

  it("runs the two pods of an Indexed Job on two nodes, each knowing its index", async () => {
    const field = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
    await makeJob(cluster.admin, namespace, "two", {
      gpus: 7,
      script: { main: { process: true } },
      spec: { completionMode: "Indexed", completions: 2, parallelism: 2 },
      container: {
        command: ["sh", "-c", 'echo "I am $JOB_COMPLETION_INDEX = $RANK"'],
        env: [{ name: "RANK", valueFrom: { fieldRef: { fieldPath: field } } }],
      },
    });

    await seen<Job>(
      cluster.admin,
      getJobs(namespace),
      ({ metadata, status }) => metadata.name === "two" && status.succeeded === 2,
    );

    const { body } = await cluster.admin.get<{ items: Pod[] }>(podsOfJob(namespace, "two"));
    const logs = await Promise.all(
      body.items.map(({ metadata }) => cluster.admin.get<string>(`${getPods(namespace)}/${metadata.name}/log`)),
    );
    expect(body.items.map(({ spec }) => spec.nodeName).sort()).toEqual(["gpu-a", "gpu-b"]);
    expect(logs.map((log) => log.body).sort()).toEqual(["I am 0 = 0\n", "I am 1 = 1\n"]);
  });
});

describe("containers", () => {
  const init = (name: string, more: object = {}) => ({ name, image: "berth.test/init:1", ...more });

  it("wait for the init containers, which run one after the other", async () => {
    const formatFile = (name: string) => join(cluster.controlPlane.home, name);
    const inits = ["first", "second"].map((name) => init(name, endsWith(0, formatFile(name))));
    const script = { first: { process: true }, second: { process: true } } as const;
    await makeJob(cluster.admin, namespace, "inits", { pod: { initContainers: inits }, script });
    const become = (...order: readonly string[]) =>
      seen<Pod>(cluster.admin, podsOfJob(namespace, "inits"), (pod) => String(states(pod)) === String(order));

    const first = await become("running", "waiting", "waiting");
    await writeFile(formatFile("first"), "");
    const second = await become("terminated", "running", "waiting");
    await writeFile(formatFile("second"), "");
    const main = await become("terminated", "terminated", "running");

    const initialized = [first, second, main].map((pod) => findCondition(pod, "Initialized")?.status);
    expect(initialized).toEqual(["False", "False", "True"]);
  });

  it("never start when an init container fails", async () => {
    const pod = { initContainers: [init("first")] };

    const { status } = await getPod("init-fails", { pod, script: { first: { exitCode: 3 } } }, isOver);

    expect(status).toMatchObject({
      phase: "Failed",
      initContainerStatuses: [{ state: { terminated: { exitCode: 3 } } }],
      containerStatuses: [{ state: { waiting: { reason: "PodInitializing" } } }],
    });
  });

  it("end although a sidecar runs", async () => {
    const pod = { initContainers: [init("proxy", { restartPolicy: "Always" })] };

    const { status } = await getPod("sidecar", { pod, script: { main: { exitCode: 0, afterMs: 50 } } }, isOver);

    expect(status).toMatchObject({
      phase: "Succeeded",
      initContainerStatuses: [{ state: { terminated: { exitCode: 0 } } }],
    });
  });

  it("wait forever for an image that cannot be pulled, without a condition of the Job", async () => {
    const waiting = (reason: string) => (pod: Pod) => JSON.stringify(pod.status).includes(`"reason":"${reason}"`);
    const options = { script: { main: { pull: "fails" } }, container: { image: "berth.test/none:1" } } as const;

    const { status } = await getPod("no-image", options, waiting("ImagePullBackOff"));
    const job = must(await cluster.admin.get<Job>(`${getJobs(namespace)}/no-image`));

    expect(status).toMatchObject({
      phase: "Pending",
      containerStatuses: [{ state: { waiting: { message: expect.stringContaining("berth.test/none:1") } } }],
    });
    expect(job.status).toMatchObject({ active: 1 });
    expect(job.status.conditions).toBeUndefined();
  });

  it("are killed when they use too much memory", async () => {
    const { status } = await getPod("oom", { script: { main: { oom: true, afterMs: 50 } } }, isOver);

    expect(status).toMatchObject({
      phase: "Failed",
      containerStatuses: [{ state: { terminated: { exitCode: 137, reason: "OOMKilled" } } }],
    });
  });

  it("run before they are ready", async () => {
    const unready = await getPod("late", { script: { main: { readyMs: 1500 } } }, isRunning);
    const ready = await seen<Pod>(
      cluster.admin,
      podsOfJob(namespace, "late"),
      (pod) => findCondition(pod, "Ready")?.status === "True",
    );

    expect(findCondition(unready, "Ready")).toMatchObject({ status: "False", reason: "ContainersNotReady" });
    expect(ready.status.containerStatuses).toMatchObject([{ ready: true }]);
  });

  it("read their environment from Secrets, and wait for a missing Secret", async () => {
    const secrets = `/api/v1/namespaces/${namespace}/secrets`;
    must(await cluster.admin.post(secrets, { metadata: { name: "keys" }, stringData: { CODE: "17" } }));
    const container = { command: ["sh", "-c", "exit $CODE"], envFrom: [{ secretRef: { name: "keys" } }] };
    const missing = { envFrom: [{ secretRef: { name: "none" } }] };

    const late = { command: ["true"], envFrom: [{ secretRef: { name: "late" } }] };

    const knownPod = await getPod("secret", { script: { main: { process: true } }, container }, isOver);
    const waits = await getPod("no-secret", { container: missing }, (pod) =>
      JSON.stringify(pod.status).includes("CreateContainerConfigError"),
    );
    await getPod("late-secret", { script: { main: { process: true } }, container: late }, (pod) =>
      JSON.stringify(pod.status).includes("CreateContainerConfigError"),
    );
    must(await cluster.admin.post(secrets, { metadata: { name: "late" } }));
    await seen<Pod>(cluster.admin, podsOfJob(namespace, "late-secret"), isOver);

    expect(knownPod.status).toMatchObject({ containerStatuses: [{ state: { terminated: { exitCode: 17 } } }] });
    expect(waits.status).toMatchObject({
      containerStatuses: [{ state: { waiting: { message: 'secret "none" not found' } } }],
    });
  });
});

describe("the words of a command", () => {
  it("expand the variables of the container, and unescape a double dollar", async () => {
    const command = ["sh", "-c", `test '$(CODE) $(NONE) $$(CODE) $$$$ $HOME' = '17 $(NONE) $'"(CODE) $"'$ $HOME'`];
    const container = { command, env: [{ name: "CODE", value: "17" }] };

    const { status } = await getPod("words", { script: { main: { process: true } }, container }, isOver);

    expect(status.phase).toBe("Succeeded");
  });
});

describe("a deleted pod", () => {
  it.each([
    { name: "obeys", stopMs: 50, exitCode: 143 },
    { name: "disobeys", stopMs: 60_000, exitCode: 137 },
  ])("$name, reports exit code $exitCode, and is removed", async ({ name, stopMs, exitCode }) => {
    const pod = await getPod(
      name,
      { script: { main: { stopMs } }, pod: { terminationGracePeriodSeconds: 1 } },
      isRunning,
    );

    const last = await getLast(pod);

    expect(last.status).toMatchObject({
      phase: "Failed",
      containerStatuses: [{ state: { terminated: { exitCode } } }],
    });
  });

  it("ends sooner when it is deleted again with less grace", async () => {
    const script = { main: { stopMs: 600_000 } };
    const pod = await getPod("hurried", { script, pod: { terminationGracePeriodSeconds: 600 } }, isRunning);
    const path = `${getPods(namespace)}/${pod.metadata.name}`;
    const gone = getLast(pod, "watched");

    must(await cluster.admin.remove(path));
    must(await cluster.admin.remove(path, { gracePeriodSeconds: 1 }));

    expect((await gone).status).toMatchObject({ containerStatuses: [{ state: { terminated: { exitCode: 137 } } }] });
  });

  it("ends with its processes, even one that ignores the signal", async () => {
    const command = ["sh", "-c", "trap '' TERM; echo $$$$; while :; do sleep 0.05; done"];
    const script = { main: { process: true } } as const;
    const pod = await getPod(
      "stubborn",
      { script, container: { command }, pod: { terminationGracePeriodSeconds: 1 } },
      isRunning,
    );
    const response = await cluster.admin.open(`${getPods(namespace)}/${pod.metadata.name}/log?follow=true`);
    const parts = response[Symbol.asyncIterator]();
    const { value } = await parts.next();
    const processId = Number(String(value));
    expect(isAlive(processId)).toBe(true);

    const last = await getLast(pod);

    expect(last.status).toMatchObject({ containerStatuses: [{ state: { terminated: { exitCode: 137 } } }] });
    while (isAlive(processId)) await sleep(20);
  });

  it("is removed with its Job", async () => {
    const pod = await getPod("removed", {}, isRunning);
    const gone = getLast(pod, "watched");

    await cluster.admin.remove(`${getJobs(namespace)}/removed`, { propagationPolicy: "Background" });
    await gone;

    expect((await cluster.admin.get(`${getJobs(namespace)}/removed`)).status).toBe(404);
  });
});

describe("a pod without a Job", () => {
  it("is ended by its deadline", async () => {
    const container = { name: "main", image: "berth.test/main:1" };
    const spec = { activeDeadlineSeconds: 1, restartPolicy: "Never", containers: [container] };
    must(await cluster.admin.post(getPods(namespace), { metadata: { name: "deadline" }, spec }));

    const { status } = await seen<Pod>(
      cluster.admin,
      getPods(namespace),
      (pod) => pod.metadata.name === "deadline" && isOver(pod),
    );

    expect(status).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
  });

  it("is ended by a deadline that is set while it runs, and keeps its output after SIGTERM", async () => {
    const command = ["sh", "-c", "trap 'echo saved; exit 0' TERM; echo begun; while :; do sleep 0.02; done"];
    const container = { name: "main", image: "berth.test/main:1", command };
    const annotations = scripted({ main: { process: true } });
    const spec = { restartPolicy: "Never", containers: [container] };
    must(await cluster.admin.post(getPods(namespace), { metadata: { name: "told", annotations }, spec }));
    const path = `${getPods(namespace)}/told`;
    await expect.poll(async () => (await cluster.admin.get(`${path}/log`)).body).toBe("begun\n");

    must(await cluster.admin.patch(path, { spec: { activeDeadlineSeconds: 1 } }, "merge"));

    const { status } = await seen<Pod>(
      cluster.admin,
      getPods(namespace),
      (pod) => pod.metadata.name === "told" && isOver(pod),
    );
    expect(status).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
    expect((await cluster.admin.get(`${path}/log`)).body).toMatch(/^begun\n(Terminated\n)?saved\n$/);
  });
});

/** Deletes a pod, or only watches for its end, and returns its last state. */
async function getLast({ metadata }: Pod, how: "deleted" | "watched" = "deleted"): Promise<Pod> {
  const path = `${getPods(namespace)}?fieldSelector=metadata.name=${metadata.name}`;
  const { body } = await cluster.admin.get<KubeObject>(path);
  const events: AsyncIterable<WatchEvent<Pod>> = watchOnce<Pod>(cluster.admin, path, {
    from: body.metadata.resourceVersion,
  });
  if (how === "deleted") await cluster.admin.remove(`${getPods(namespace)}/${metadata.name}`);
  for await (const { type, object } of events) if (type === "DELETED") return object;
  throw new Error("The watch ended before the pod was gone");
}

function states({ status }: Pod): string[] {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return all.map(({ state }) => Object.keys(state).join());
}
