import { VolumeRefused } from "#core/problem.ts";
import type { ApiClient } from "../client/api-client.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import type { KubeObject } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { type PersistentVolume, volumesPath } from "./claim.ts";

/** Class in deploy/kubernetes/storage-class.yaml; `null` is the cluster's default class. */
export type StorageClass = "berth-gp3" | null;

const classesPath = "/apis/storage.k8s.io/v1/storageclasses";
const defaultStorageClass = "storageclass.kubernetes.io/is-default-class";

/**
 * Throws `VolumeRefused` if the cluster has no storage class for a volume, since its pod would try machine after
 * machine. Berth's own class is retried, because the installation of Berth creates it.
 */
export async function checkStorageClass(place: ClusterContext, wanted: StorageClass): Promise<void> {
  const listing = place.client.list<KubeObject, KubeObject>(classesPath, (storageClass) => [storageClass], {
    part: "metadata",
  });
  const listed = await unlessForbidden(place, `GET ${classesPath}`, listing, undefined);
  if (!listed) return;
  const classes = listed.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (wanted !== null) {
    if (classes.some(({ metadata }) => metadata.name === wanted)) return;
    throw new VolumeRefused(`The cluster has no storage class "${wanted}"`);
  }
  if (classes.some(({ metadata }) => metadata.annotations?.[defaultStorageClass] === "true")) return;
  if (await hasUnclassedVolume(place)) return;
  throw new VolumeRefused("The cluster has no default storage class, so it makes no volumes", { isForGood: true });
}

/** Reports whether there is a volume, made by hand, that a claim without a class may get. */
async function hasUnclassedVolume({ client }: ClusterContext): Promise<boolean> {
  const { items } = await client.list<PersistentVolume, PersistentVolume>(volumesPath, (volume) =>
    !volume.spec.storageClassName && !volume.spec.claimRef ? [volume] : [],
  );
  return items.length > 0;
}

/** API of snapshots, an optional extension of a cluster. */
export const snapshotApi = "snapshot.storage.k8s.io/v1";

interface SnapshotClass extends KubeObject {
  readonly driver: string;
  readonly deletionPolicy: string;
}

interface Groups {
  readonly groups: readonly { readonly versions: readonly { readonly groupVersion: string }[] }[];
}

const defaultSnapshotClass = "snapshot.storage.kubernetes.io/is-default-class";

/** Returns the snapshot class of a driver: the default, or one that deletes snapshots with their object. */
export async function findSnapshotClass(client: ApiClient, driver: string): Promise<string | undefined> {
  // The 404 of a missing API looks like a proxy's, so read the list of APIs.
  const { groups } = await client.get<Groups>("/apis");
  if (!groups.some(({ versions }) => versions.some(({ groupVersion }) => groupVersion === snapshotApi))) {
    return undefined;
  }
  const { items } = await client.list<SnapshotClass, SnapshotClass>(
    `/apis/${snapshotApi}/volumesnapshotclasses`,
    (snapshotClass) => (snapshotClass.driver === driver ? [snapshotClass] : []),
  );
  const rank = ({ metadata, deletionPolicy }: SnapshotClass) =>
    (metadata.annotations?.[defaultSnapshotClass] === "true" ? 0 : 2) + (deletionPolicy === "Delete" ? 0 : 1);
  const [first] = items.toSorted(
    (left, right) => rank(left) - rank(right) || (left.metadata.name < right.metadata.name ? -1 : 1),
  );
  return first?.metadata.name;
}
