import type { ApiClient } from "../client/api-client.ts";
import type { Manifest } from "./manifests.ts";

/** An object that was applied. */
export interface AppliedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string };
  /** Somebody else made it, so Berth never deletes it. */
  readonly isAdopted?: boolean;
}

const namespace = "berth-system";
const name = "berth-applied";
const path = `/api/v1/namespaces/${namespace}/configmaps/${name}`;

interface ConfigMap {
  readonly data?: Readonly<Record<string, string>>;
}

/** Returns what former versions applied. Throws if the list is unreadable, because pruning by half of it is no use. */
export async function readInventory(client: Pick<ApiClient, "find">): Promise<AppliedObject[]> {
  const map = await client.find<ConfigMap>(path);
  if (map === undefined) return [];
  try {
    const objects: unknown = JSON.parse(map.data?.objects ?? "");
    if (Array.isArray(objects) && objects.every(isApplied)) return objects;
  } catch {
    // Not JSON.
  }
  throw new Error(`ConfigMap ${namespace}/${name} is unreadable. Delete it: then this version prunes nothing`);
}

/** Replaces the list. */
export async function writeInventory(client: Pick<ApiClient, "apply">, objects: readonly AppliedObject[]) {
  await client.apply(path, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace },
    data: { objects: JSON.stringify(objects) },
  });
}

export function toApplied({ apiVersion, kind }: Manifest, { metadata }: Pick<Manifest, "metadata">): AppliedObject {
  const { name, namespace, uid = "" } = metadata;
  return { apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }), uid } };
}

function isApplied(value: unknown): value is AppliedObject {
  const { apiVersion, kind, metadata } = (value ?? {}) as Partial<AppliedObject>;
  const { name, namespace, uid } = metadata ?? {};
  const isText = (field: unknown) => typeof field === "string" && field !== "";
  return [apiVersion, kind, name, uid].every(isText) && (namespace === undefined || isText(namespace));
}
