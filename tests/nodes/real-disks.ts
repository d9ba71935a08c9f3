import { open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient, KubeObject } from "../cluster/client.ts";
import { seen } from "../cluster/cluster.ts";
import { snapshotPath } from "../cluster/disks/snapshot-api.ts";
import { must } from "../cluster/objects.ts";
import { attachVolumes } from "./attacher.ts";
import { type DiskPrograms, findDiskPrograms, snapshotKinds } from "./disk-programs.ts";
import type { RealCluster } from "./real-cluster.ts";
import type { RealNode } from "./real-node.ts";

const driverName = "ebs.csi.aws.com";
const socket = `/var/lib/kubelet/plugins/${driverName}/csi.sock`;

/** Calls of the driver that a test can make fail. */
type Call = "CreateVolume" | "CreateSnapshot" | "NodeStageVolume" | "NodeUnstageVolume" | "NodeUnpublishVolume";

/** Volumes and snapshots of a real CSI driver, with the real controllers of Kubernetes. */
export interface RealDisks {
  /** Lists the handles of what exists. */
  list(kind: "volumes" | "snapshots"): Promise<string[]>;
  /** Returns the path of the file that holds the volume's file system. */
  findFile(handle: string): string;
  /** Creates an empty volume, as EC2 does for a control plane that calls it. */
  add(handle: string, sizeGb: number): Promise<void>;
  /** Makes each call of this kind fail with the reason until the returned function is called. */
  fail(call: Call, reason: string): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

/** Starts the driver on each node, and the controllers on the first. */
export async function startDisks({ admin, controlPlane, nodes }: RealCluster): Promise<RealDisks> {
  const programs = await findDiskPrograms(process.env);
  const home = join(controlPlane.home, "disks");
  await installApi(admin, programs);
  const [first] = nodes;
  if (!first) throw new Error("The cluster has no node for the controllers");
  await Promise.all(nodes.map((node) => startDriver(admin, node, programs, home)));
  startControllers(first, programs, join(controlPlane.home, "controllers.kubeconfig"));
  const disks = openFolder(home);
  const ending = new AbortController();
  const isThere = async (handle: string) => (await disks.list("volumes")).includes(handle);
  const attaching = attachVolumes(admin, isThere, ending.signal);
  return {
    ...disks,
    async stop() {
      ending.abort();
      await attaching;
    },
  };
}

/** Installs the API of snapshots, and what an administrator says about the driver. */
async function installApi(admin: KubeClient, programs: DiskPrograms): Promise<void> {
  for (const kind of snapshotKinds) {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${kind}.snapshot.storage.k8s.io`;
    must(await admin.apply(path, await readFile(programs.definition(kind), "utf8")));
    while ((await admin.get(`${snapshotPath}/${kind}`)).status !== 200) await sleep(25);
  }
  must(
    await admin.post("/apis/storage.k8s.io/v1/csidrivers", {
      metadata: { name: driverName },
      // Settings of aws-ebs-csi-driver's chart.
      spec: { attachRequired: true, podInfoOnMount: false, fsGroupPolicy: "File" },
    }),
  );
  must(
    await admin.post(`${snapshotPath}/volumesnapshotclasses`, {
      apiVersion: "snapshot.storage.k8s.io/v1",
      kind: "VolumeSnapshotClass",
      metadata: { name: "ebs" },
      driver: driverName,
      deletionPolicy: "Delete",
    }),
  );
}

interface CsiNode extends KubeObject {
  readonly spec: { readonly drivers?: readonly { readonly name: string }[] | null };
}

async function startDriver(admin: KubeClient, node: RealNode, programs: DiskPrograms, home: string): Promise<void> {
  const { name, machine } = node;
  const { metadata } = must(await admin.get<KubeObject>(`/api/v1/nodes/${name}`));
  const driver = machine.start("csi-driver", programs.driver, [
    `--dir=${home}`,
    `--node=${name}`,
    `--zone=${metadata.labels?.["topology.kubernetes.io/zone"]}`,
    `--socket=${socket}`,
    `--register=/var/lib/kubelet/plugins_registry/${driverName}-reg.sock`,
  ]);
  const path = `/apis/storage.k8s.io/v1/csinodes?fieldSelector=metadata.name%3D${name}`;
  const isRegistered = ({ spec }: CsiNode) => (spec.drivers ?? []).some((driver) => driver.name === driverName);
  await driver.whileRunning(seen<CsiNode>(admin, path, isRegistered));
}

/** A failed call is tried again after a second, not after minutes. */
const retries = ["--retry-interval-start=200ms", "--retry-interval-max=1s"];

function startControllers({ machine }: RealNode, { sidecar }: DiskPrograms, kubeconfig: string): void {
  const flags = [`--kubeconfig=${kubeconfig}`, "--kube-api-qps=200", "--kube-api-burst=400", ...retries];
  const start = (name: Parameters<typeof sidecar>[0], ...more: string[]) =>
    machine.start(name, sidecar(name), [...flags, ...more]);
  start("csi-provisioner", `--csi-address=${socket}`, "--strict-topology", "--immediate-topology=false");
  start("csi-snapshotter", `--csi-address=${socket}`);
  start("snapshot-controller");
}

function openFolder(home: string): Omit<RealDisks, "stop"> {
  const findFile = (handle: string) => join(home, "volumes", handle);
  return {
    findFile,
    list: (kind) => readdir(join(home, kind)),
    async add(handle, sizeGb) {
      const file = await open(findFile(handle), "w");
      await file.truncate(sizeGb * 2 ** 30);
      await file.close();
    },
    async fail(call, reason) {
      const path = join(home, "faults", call);
      await writeFile(path, reason);
      return () => rm(path, { force: true });
    },
  };
}
