import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Compute } from "#core/ports/compute.ts";
import { must } from "#tests/cluster/objects.ts";
import { kubernetesCompute } from "../compute.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import type { Node, Pod } from "../objects.ts";
import type { PodSettings } from "../runs/pod-settings.ts";
import { jobOfRun } from "../runs/run-job.ts";

const core = `/api/v1/namespaces/${namespace}`;
let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture([
    { name: "one", instanceType: "p5.48xlarge" },
    { name: "shared", instanceType: "m7i.8xlarge" },
  ]);
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

const openCompute = (pods: PodSettings) => kubernetesCompute({ ...fixture.options, pods });

async function start(compute: Compute, changes: Parameters<typeof fixtureRun>[0] = {}) {
  const run = fixtureRun(changes);
  await compute.apply(run);
  await fixture.eventually(
    () => compute.observe(run.uid, 1),
    (seen) => seen?.state === "ready",
  );
  return run;
}

interface SeenPod extends Omit<Pod, "status"> {
  readonly status: { readonly qosClass: string };
}

async function getPod(uid: string): Promise<SeenPod> {
  const { items } = must(
    await fixture.cluster.admin.get<{ items: SeenPod[] }>(`${core}/pods?labelSelector=berth/uid=${uid}`),
  );
  const [pod] = items;
  if (!pod) throw new Error("It has no pod");
  return pod;
}

describe("a run with settings for pods", () => {
  it("is an object that the API server knows in every field", async () => {
    const allocatable = { "vpc.amazonaws.com/efa": "32", "hugepages-2Mi": "10256Mi" };
    const node = { metadata: { name: "one" }, status: { allocatable } } as unknown as Node;
    const pods: PodSettings = {
      cpuLimit: "none",
      graceSeconds: 600,
      capabilities: ["SYS_PTRACE", "IPC_LOCK", "SYS_RESOURCE"],
      userNamespaces: true,
      pullSecrets: ["registry"],
      sharedClaims: [{ name: "datasets", path: "/data", isReadOnly: true }],
      networkAllow: [{ cidr: "10.20.0.0/16", ports: [443] }],
      patch: {
        metadata: { labels: { team: "research" }, annotations: { "a.test/b": "c" } },
        spec: { nodeSelector: { pool: "a" }, runtimeClassName: "nvidia", priorityClassName: "research" },
      },
    };
    const run = fixtureRun({ gpusPerMachine: 8, shares: [{ node: "one", units: 8 }] });
    const job = jobOfRun(run, 0, { deployment: "fixture", now: Date.now(), nodes: [node], pods }) as {
      readonly spec: { readonly template: { readonly spec: object } };
    };
    const path = `/apis/batch/v1/namespaces/${namespace}/jobs?dryRun=All&fieldValidation=Strict`;

    const answer = await fixture.cluster.admin.post<typeof job>(path, job);

    expect(answer).toMatchObject({ status: 201 });
    expect(answer.body.spec.template.spec).toMatchObject({
      hostUsers: false,
      imagePullSecrets: [{ name: "registry" }],
    });
  });

  it("without a limit of processors has none after a resize, either", async () => {
    const compute = openCompute({ cpuLimit: "none" });
    const { uid } = await start(compute, {
      instanceType: "m7i.8xlarge",
      shares: [{ node: "shared", units: 1 }],
      gpusPerMachine: 0,
      resources: { cpus: 1, memoryMb: 1024 },
    });

    await compute.resize(uid, 1, { cpus: 2, memoryMb: 4096 }, 1);

    const { spec, status } = await getPod(uid);
    const { limits, requests } = spec.containers?.[0]?.resources ?? {};
    expect([requests, limits]).toMatchObject([{ cpu: "2", memory: "4Gi" }, { memory: "4Gi" }]);
    expect(limits).not.toHaveProperty("cpu");
    expect(status.qosClass).toBe("Burstable");
  });

  it("has its network policy from its start to its end", async () => {
    const compute = openCompute({ networkAllow: [{ cidr: "10.20.0.0/16", ports: [443] }] });
    const { uid } = await start(compute);
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/run-${uid}-r1`;

    const there = await fixture.cluster.admin.get(path);
    await compute.remove(uid, 1, { graceSeconds: 0, force: false });

    expect(there).toMatchObject({ status: 200, body: { spec: { policyTypes: ["Egress"] } } });
    expect(there.body).not.toHaveProperty("spec.ingress");
    expect((await fixture.cluster.admin.get(path)).status).toBe(404);
  });

  it("has the grace period of its start, and ends sooner if its removal says so", async () => {
    const command = 'trap "" TERM; while :; do sleep 1; done';
    const { uid } = await start(openCompute({ graceSeconds: 600 }), { command });
    const { spec } = await getPod(uid);

    await fixture.compute.remove(uid, 1, { graceSeconds: 1, force: false });

    expect(spec.terminationGracePeriodSeconds).toBe(600);
    await fixture.eventually(
      () => fixture.compute.observe(uid, 1),
      (seen) => seen === undefined,
    );
  });
});
