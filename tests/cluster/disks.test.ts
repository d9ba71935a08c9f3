import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KubeObject } from "./client.ts";
import { type Cluster, seen, startCluster } from "./cluster.ts";
import type { Pod } from "./kubelet/pod.ts";
import { getClaims, getJobs, makeJob, makeNamespace, must, podsOfJob } from "./objects.ts";

interface Claim extends KubeObject {
  readonly spec: { readonly volumeName?: string };
  readonly status: { readonly phase: string };
}

const volumes = "/api/v1/persistentvolumes";
const storageClass = new URL("../../deploy/kubernetes/storage-class.yaml", import.meta.url);
let cluster: Cluster;
let namespace: string;

beforeAll(async () => {
  cluster = await startCluster();
  namespace = await makeNamespace(cluster.admin, "disks");
  const yaml = await readFile(storageClass, "utf8");
  must(await cluster.admin.apply("/apis/storage.k8s.io/v1/storageclasses/berth-gp3", yaml));
  await cluster.addNodes([
    { name: "gpu-a", instanceType: "p5.48xlarge", zone: "us-east-1a" },
    { name: "gpu-b", instanceType: "p5.48xlarge", zone: "us-east-1b" },
  ]);
});

afterAll(() => cluster.stop());

async function makeClaim(name: string, more: object = {}): Promise<void> {
  const spec = {
    accessModes: ["ReadWriteOncePod"],
    storageClassName: "berth-gp3",
    resources: { requests: { storage: "10Gi" } },
    ...more,
  };
  must(
    await cluster.admin.apply(`${getClaims(namespace)}/${name}`, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name },
      spec,
    }),
  );
}

const mounts = (claimName: string, zone?: string) => ({
  pod: {
    volumes: [{ name: "disk", persistentVolumeClaim: { claimName } }],
    ...(zone === undefined ? {} : { nodeSelector: { "topology.kubernetes.io/zone": zone } }),
  },
});

const podWhere = (job: string, test: (pod: Pod) => boolean) =>
  seen<Pod>(cluster.admin, podsOfJob(namespace, job), test);
const isRunning = ({ status }: Pod) => status.phase === "Running";
const says = (text: string) => (pod: Pod) => JSON.stringify(pod.status).includes(text);
const bound = (name: string) =>
  seen<Claim>(
    cluster.admin,
    getClaims(namespace),
    ({ metadata, status }) => metadata.name === name && status.phase === "Bound",
  );

describe("a gp3 disk", () => {
  it("is created in the zone of its first pod, and keeps later pods there", async () => {
    await makeClaim("home");
    const waiting = must(await cluster.admin.get<Claim>(`${getClaims(namespace)}/home`));

    await makeJob(cluster.admin, namespace, "first", mounts("home", "us-east-1b"));
    await podWhere("first", isRunning);
    const { spec } = await bound("home");
    const volume = must(await cluster.admin.get(`${volumes}/${spec.volumeName}`));
    await cluster.admin.remove(`${getJobs(namespace)}/first`, { propagationPolicy: "Background" });
    await makeJob(cluster.admin, namespace, "elsewhere", mounts("home", "us-east-1a"));
    const stuck = await podWhere("elsewhere", says("didn't match PersistentVolume's node affinity"));

    expect(waiting.status.phase).toBe("Pending");
    expect(volume).toMatchObject({
      spec: {
        csi: { driver: "ebs.csi.aws.com", volumeHandle: expect.stringMatching(/^vol-0[0-9a-f]{16}$/) },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ values: ["us-east-1b"] }] }] } },
      },
    });
    expect(stuck.status).toMatchObject({ phase: "Pending", conditions: [{ reason: "Unschedulable" }] });
  });

  it("has one pod at a time", async () => {
    await makeClaim("single");
    await makeJob(cluster.admin, namespace, "holder", mounts("single"));
    await podWhere("holder", isRunning);

    await makeJob(cluster.admin, namespace, "next", mounts("single"));
    await podWhere("next", says("ReadWriteOncePod access mode already in-use"));
    await cluster.admin.remove(`${getJobs(namespace)}/holder`, { propagationPolicy: "Background" });

    await podWhere("next", isRunning);
  });

  it("outlives its claim, and can be bound again by name", async () => {
    await makeClaim("old");
    await makeJob(cluster.admin, namespace, "writer", mounts("old", "us-east-1b"));
    const { spec } = await bound("old");
    await cluster.admin.remove(`${getJobs(namespace)}/writer`, { propagationPolicy: "Background" });
    await cluster.admin.remove(`${getClaims(namespace)}/old`);
    const name = spec.volumeName ?? "";
    await seen<Claim>(
      cluster.admin,
      volumes,
      ({ metadata, status }) => metadata.name === name && status.phase === "Released",
    );

    must(
      await cluster.admin.patch(`${volumes}/${name}`, {
        spec: { claimRef: { name: "new", namespace, uid: null, resourceVersion: null } },
      }),
    );
    await makeClaim("new", { volumeName: name });
    await makeJob(cluster.admin, namespace, "reader", mounts("new"));
    const reader = await podWhere("reader", isRunning);

    expect((await bound("new")).spec.volumeName).toBe(name);
    expect(reader.spec.nodeName).toBe("gpu-b");
  });
});
