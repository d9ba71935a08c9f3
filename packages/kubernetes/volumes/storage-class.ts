import { VolumeRefused } from "#core/problem.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import type { KubeObject } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { type PersistentVolume, volumesPath } from "./claim.ts";

/** Class in deploy/kubernetes/storage-class.yaml; `null` is the cluster's default class. */
export type StorageClass = "berth-gp3" | null;

const classesPath = "/apis/storage.k8s.io/v1/storageclasses";
const defaultClass = "storageclass.kubernetes.io/is-default-class";

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
  if (classes.some(({ metadata }) => metadata.annotations?.[defaultClass] === "true")) return;
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
