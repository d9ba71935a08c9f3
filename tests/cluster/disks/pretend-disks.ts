import { createHash, randomBytes } from "node:crypto";
import { cp, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { KubeClient, KubeObject } from "../client.ts";
import type { Container, Pod } from "../kubelet/pod.ts";
import { found } from "../objects.ts";

/** Contents of pretend volumes and snapshots: directories of this machine by the driver's handles. */
export interface PretendDisks {
  /** Creates a volume, empty or with the contents of a snapshot. Leaves an existing one unchanged. */
  make(volume: string, snapshot: string | undefined): Promise<void>;
  findDirectory(volume: string): string;
  remove(volume: string): Promise<void>;
  /**
   * Copies the present contents of a volume for the snapshot with this uid, once. Returns the handle of the copy.
   */
  cut(volume: string, uid: string): Promise<string>;
  /** Removes the copy for the snapshot with this uid, also if its handle was never stored. */
  removeSnapshot(uid: string): Promise<void>;
  handles(kind: "volumes" | "snapshots"): Promise<string[]>;
}

export function pretendDisks(home: string): PretendDisks {
  const directoryOf = (volume: string) => join(home, "volumes", volume);
  const getSnapshot = (snapshot: string) => join(home, "snapshots", snapshot);
  /** Copies all or nothing, also if two copies begin at once. */
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

/** Returns the directories of a container's disks by their mount paths. */
export async function createDisks(
  client: KubeClient,
  disks: PretendDisks,
  { pod, container }: { readonly pod: Pod; readonly container: Container },
): Promise<ReadonlyMap<string, string>> {
  const mounted = await Promise.all(
    (container.volumeMounts ?? []).map(async ({ name, mountPath }) => {
      const claim = pod.spec.volumes?.find((volume) => volume.name === name)?.persistentVolumeClaim?.claimName;
      const handle = claim && (await findVolumeHandle(client, pod.metadata.namespace, claim));
      // Like the driver, which formats a volume without a file system, regardless of who created it.
      if (handle) await disks.make(handle, undefined);
      return handle ? [[mountPath, disks.findDirectory(handle)] as const] : [];
    }),
  );
  return new Map(mounted.flat());
}

/** Returns the driver's handle of a claim's volume; undefined if it has none yet. */
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
