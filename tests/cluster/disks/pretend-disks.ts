import { createHash, randomBytes } from "node:crypto";
import { cp, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { KubeClient, KubeObject } from "../client.ts";
import type { Container, Pod } from "../kubelet/pod.ts";
import { found } from "../objects.ts";

/** What pretend volumes and their snapshots hold: directories of this machine, by the handles of their driver. */
export interface PretendDisks {
  /** Empty, or with what a snapshot holds; one that is there already stays as it is. */
  make(volume: string, snapshot: string | undefined): Promise<void>;
  findDirectory(volume: string): string;
  remove(volume: string): Promise<void>;
  /**
   * Answers the handle of a copy of what the volume holds now, for the snapshot of this uid: the same one for the same
   * snapshot, which is cut once.
   */
  cut(volume: string, uid: string): Promise<string>;
  /** Removes what was cut for the snapshot of this uid, whether or not anybody wrote its handle down. */
  removeSnapshot(uid: string): Promise<void>;
  handles(kind: "volumes" | "snapshots"): Promise<string[]>;
}

export function pretendDisks(home: string): PretendDisks {
  const directoryOf = (volume: string) => join(home, "volumes", volume);
  const getSnapshot = (snapshot: string) => join(home, "snapshots", snapshot);
  /** Whole or not at all, though two begin it at once. */
  const copy = async (from: string, to: string) => {
    const made = join(home, "copies", randomBytes(8).toString("hex"));
    await cp(from, made, { recursive: true });
    await mkdir(dirname(to), { recursive: true });
    await rename(made, to).catch(() => rm(made, { recursive: true }));
  };
  return {
    findDirectory: directoryOf,
    async make(volume, snapshot) {
      if (snapshot !== undefined) await copy(getSnapshot(snapshot), directoryOf(volume));
      await mkdir(directoryOf(volume), { recursive: true });
    },
    remove: (volume) => rm(directoryOf(volume), { recursive: true, force: true }),
    async cut(volume, uid) {
      const handle = snapshotHandle(uid);
      await copy(directoryOf(volume), getSnapshot(handle));
      return handle;
    },
    removeSnapshot: (uid) => rm(getSnapshot(snapshotHandle(uid)), { recursive: true, force: true }),
    handles: (kind) => readdir(join(home, kind)).catch(() => []),
  };
}

function snapshotHandle(uid: string): string {
  return `snap-0${createHash("sha256").update(uid).digest("hex").slice(0, 16)}`;
}

/** The directories of a container's disks, by the paths at which it has them. */
export async function createDisks(
  client: KubeClient,
  disks: PretendDisks,
  { pod, container }: { readonly pod: Pod; readonly container: Container },
): Promise<ReadonlyMap<string, string>> {
  const mounted = await Promise.all(
    (container.volumeMounts ?? []).map(async ({ name, mountPath }) => {
      const claim = pod.spec.volumes?.find((volume) => volume.name === name)?.persistentVolumeClaim?.claimName;
      const handle = claim && (await findVolumeHandle(client, pod.metadata.namespace, claim));
      // As the driver puts a file system on a volume that has none: who made the volume is not its matter.
      if (handle) await disks.make(handle, undefined);
      return handle ? [[mountPath, disks.findDirectory(handle)] as const] : [];
    }),
  );
  return new Map(mounted.flat());
}

/** Of a claim's volume, by the driver that made it; undefined while it has none. */
export async function findVolumeHandle(
  client: KubeClient,
  namespace: string,
  claim: string,
): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${claim}`;
  const claimed = found(await client.get<KubeObject & { spec: { volumeName?: string } }>(path));
  if (!claimed?.spec.volumeName) return undefined;
  const volume = `/api/v1/persistentvolumes/${claimed.spec.volumeName}`;
  const made = found(await client.get<KubeObject & { spec: { csi?: { volumeHandle: string } } }>(volume));
  return made?.spec.csi?.volumeHandle;
}
