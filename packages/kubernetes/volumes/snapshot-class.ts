import type { ApiClient } from "../client/api-client.ts";
import type { KubeObject } from "../objects.ts";

/** The API of snapshots, which a cluster has only where somebody put it there. */
export const snapshotApi = "snapshot.storage.k8s.io/v1";

interface SnapshotClass extends KubeObject {
  readonly driver: string;
  readonly deletionPolicy: string;
}

interface Groups {
  readonly groups: readonly { readonly versions: readonly { readonly groupVersion: string }[] }[];
}

const defaultClass = "snapshot.storage.kubernetes.io/is-default-class";

/**
 * The class by which volumes of this driver are backed up: the default one, and one by which a snapshot goes with its
 * object, where there are several. Undefined: the cluster makes no snapshots of them.
 */
export async function findSnapshotClass(client: ApiClient, driver: string): Promise<string | undefined> {
  // A path of an API that is not there is answered by no object of the API server's, as a proxy would answer.
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
