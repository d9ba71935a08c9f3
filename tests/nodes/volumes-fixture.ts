import { setTimeout as sleep } from "node:timers/promises";
import { s3Blobs } from "#aws/s3/s3-blobs.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import type { KubeObject } from "#kubernetes/objects.ts";
import { buildPaths } from "#kubernetes/paths.ts";
import type { ClusterContext } from "#kubernetes/runs/read-run.ts";
import { type Claim, getVolumeId } from "#kubernetes/volumes/claim.ts";
import { type KubernetesVolumesOptions, kubernetesVolumes } from "#kubernetes/volumes.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import { fakeKey } from "../aws/fake-service.ts";
import { type FakeS3, startS3 } from "../aws/s3.ts";
import { removed } from "../cluster/cluster.ts";
import { must } from "../cluster/objects.ts";
import { memoryBlobs } from "../fakes/memory-blobs.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import type { RealCluster } from "./real-cluster.ts";
import { type RealDisks, startDisks } from "./real-disks.ts";

const namespace = "berth-environments";
export const zone = "us-east-1a";
export const paths = buildPaths(namespace);

/** The driver on two real nodes, with a real CSI driver and its controllers. */
export interface VolumesFixture extends DriverFixture {
  readonly place: ClusterContext;
  readonly disks: RealDisks;
  /** Bucket that pods reach. */
  readonly s3: FakeS3;
  /** Compute whose runs have the programs of images/tools, and the store of its file lists. */
  readonly supervised: Compute;
  readonly blobs: ReturnType<typeof memoryBlobs>;
  getVolumes(options?: Partial<KubernetesVolumesOptions>): Volumes;
  /** Reads until the expected value has arrived. */
  eventually<Value>(read: () => Promise<Value>, holds: (value: Value) => boolean): Promise<Value>;
  /** Lists the mounts of volumes on all nodes. */
  listMounts(): Promise<string[]>;
}

export async function openVolumesFixture(): Promise<VolumesFixture> {
  const { archive } = await buildToolsImage(process.env);
  const driver = await openDriverFixture({ archives: [archive] });
  const cleanups = [driver.stop];
  const stop = async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  };
  try {
    const { cluster, computeOptions } = driver;
    const disks = await startDisks(cluster);
    cleanups.push(disks.stop);
    const { s3, url } = await startBucket(cluster);
    cleanups.push(s3.stop);
    const { client, deployment, getMachineState } = computeOptions;
    const place = { client, paths, deployment };
    const blobs = memoryBlobs();
    const service = { name: "s3", region: "us-east-2", url: `${url}/bucket`, credentials: () => fakeKey };
    const archives = { image: toolsImage, blobs: s3Blobs(service), getMachineState };
    const fixture = { ...driver, disks, s3, place, blobs, eventually, stop };
    return {
      ...fixture,
      supervised: kubernetesCompute({ ...computeOptions, blobs, toolsImage }),
      getVolumes: (more) => kubernetesVolumes(place, { now: Date.now, goneWithinMs: 100_000, archives, ...more }),
      listMounts: () => listMounts(cluster),
      async clear() {
        await driver.clear();
        await removeVolumes(fixture);
        await eventually(
          () => listMounts(cluster),
          (mounts) => mounts.length === 0,
        );
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function eventually<Value>(read: () => Promise<Value>, holds: (value: Value) => boolean): Promise<Value> {
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    await sleep(50);
  }
}

/** Relays connections from the first node's network, which pods reach, to this process, which they do not. */
const relay = `
const net = require("node:net");
const [port, host] = process.argv.slice(1);
net.createServer((client) => {
  const server = net.connect(port, host);
  for (const end of [client, server]) end.on("error", () => [client, server].map((other) => other.destroy()));
  client.pipe(server).pipe(client);
}).listen(9000);
`;

async function startBucket({ controlPlane, admin, nodes }: RealCluster) {
  const { hostname } = new URL(controlPlane.getAccess("admin").url);
  const s3 = await startS3("bucket", hostname);
  const { port } = new URL(s3.endpoint);
  const [first] = nodes;
  first?.machine.start("bucket", process.execPath, ["-e", relay, port, hostname]);
  const node = must(await admin.get<NodeAddresses>(`/api/v1/nodes/${first?.name}`));
  const url = `http://${node.status.addresses.find(({ type }) => type === "InternalIP")?.address}:9000`;
  await eventually(
    () => fetch(url).catch(() => undefined),
    (answer) => answer !== undefined,
  );
  return { s3, url };
}

interface NodeAddresses extends KubeObject {
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
}

async function listMounts({ nodes }: RealCluster): Promise<string[]> {
  const lists = await Promise.all(
    nodes.map(async ({ name, machine }) => {
      const mounts = (await machine.run("cat", ["/proc/mounts"])).split("\n");
      return mounts.filter((line) => /kubernetes\.io[/~]csi/.test(line)).map((line) => `${name} ${line.split(" ")[1]}`);
    }),
  );
  return lists.flat();
}

/** Removes claims with their volumes, then snapshots, and returns when the driver has removed them too. */
async function removeVolumes({
  cluster,
  disks,
  place,
}: Pick<VolumesFixture, "cluster" | "disks" | "place">): Promise<void> {
  const { admin } = cluster;
  const volumes = kubernetesVolumes(place, { now: Date.now, goneWithinMs: 100_000 });
  const list = async <Item extends KubeObject>(path: string) =>
    must(await admin.get<{ items: readonly Item[] }>(path)).items;
  const claims = await list<Claim>(paths.claims);
  await Promise.all(claims.map((claim) => volumes.removeVolume(getVolumeId(claim))));
  const snapshots = await list(paths.snapshots);
  await Promise.all(snapshots.map(({ metadata }) => volumes.removeSnapshot(`${metadata.name}.${metadata.uid}`)));
  await Promise.all(claims.map(({ metadata }) => removed(admin, `${paths.claims}/${metadata.name}`)));
  await eventually(
    async () => [...(await list("/api/v1/persistentvolumes")), ...(await disks.list("snapshots"))],
    (left) => left.length === 0,
  );
}
