import type { ApiClient } from "../client/api-client.ts";
import type { KubeObject } from "../objects.ts";

/** API of snapshots, an optional extension of a cluster. */
export const snapshotApi = "snapshot.storage.k8s.io/v1";

interface SnapshotClass extends KubeObject {
  readonly driver: string;
  readonly deletionPolicy: string;
}

interface Groups {
  readonly groups: readonly { readonly versions: readonly { readonly groupVersion: string }[] }[];
}

const defaultClass = "snapshot.storage.kubernetes.io/is-default-class";

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
    (metadata.annotations?.[defaultClass] === "true" ? 0 : 2) + (deletionPolicy === "Delete" ? 0 : 1);
  const [first] = items.toSorted(
    (left, right) => rank(left) - rank(right) || (left.metadata.name < right.metadata.name ? -1 : 1),
  );
  return first?.metadata.name;
}
