import type { ApiClient } from "../client/api-client.ts";
import { alreadyExists, isAnother } from "../client/api-error.ts";
import type { Manifest } from "./manifests.ts";

/** An object that was applied. */
export interface AppliedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string };
  /** Another client created the object, so Berth never deletes it. */
  readonly isAdopted?: boolean;
}

const namespace = "berth-system";
const name = "berth-applied";
const identity = { apiVersion: "v1", kind: "ConfigMap" };
const folder = `/api/v1/namespaces/${namespace}/configmaps`;
const path = `${folder}/${name}`;

interface ConfigMap {
  readonly metadata: { readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** The list of applied objects, as the cluster has it. */
export interface Inventory {
  readonly objects: readonly AppliedObject[];
  /** Undefined if there is no list yet. */
  readonly resourceVersion: string | undefined;
}

/** Returns what former versions applied. Throws if the list is unreadable, because pruning by half of it is no use. */
export async function readInventory(client: Pick<ApiClient, "find">): Promise<Inventory> {
  const map = await client.find<ConfigMap>(path);
  if (map === undefined) return { objects: [], resourceVersion: undefined };
  try {
    const objects: unknown = JSON.parse(map.data?.objects ?? "");
    const { resourceVersion } = map.metadata;
    if (Array.isArray(objects) && objects.every(isApplied)) return { objects, resourceVersion };
  } catch {
    // Not JSON.
  }
  throw new Error(`ConfigMap ${namespace}/${name} is unreadable. Delete it: then this version prunes nothing`);
}

const MOST_ATTEMPTS = 10;

/** Applies a change to the current list. Retries after a change by another process, so that neither change is lost. */
export async function updateInventory(
  client: Pick<ApiClient, "find" | "create" | "patch">,
  change: (objects: readonly AppliedObject[]) => readonly AppliedObject[],
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { objects, resourceVersion } = await readInventory(client);
    const data = { objects: JSON.stringify(change(objects)) };
    try {
      if (resourceVersion === undefined)
        await client.create(folder, { ...identity, metadata: { name, namespace }, data });
      else await client.patch(path, { metadata: { resourceVersion }, data });
      return;
    } catch (error) {
      const isLate = isAnother(error) || alreadyExists(error);
      if (!isLate || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

export function toApplied({ apiVersion, kind }: Manifest, { metadata }: Pick<Manifest, "metadata">): AppliedObject {
  const { name, namespace, uid = "" } = metadata;
  return { apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }), uid } };
}

/** Paths are made of these fields, so each must have the form that Kubernetes gives it. */
const forms = {
  apiVersion: /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?v[a-z0-9]+$/,
  kind: /^[A-Z][A-Za-z0-9]*$/,
  // RBAC allows colons too (Kubernetes, "Object Names and IDs", path segment names).
  name: /^[A-Za-z0-9][A-Za-z0-9.:_-]*$/,
  namespace: /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
  uid: /^[\w-]+$/,
} as const;

function isApplied(value: unknown): value is AppliedObject {
  const { apiVersion, kind, metadata } = (value ?? {}) as Partial<AppliedObject>;
  const { name, namespace, uid } = metadata ?? {};
  const fields = { apiVersion, kind, name, uid, ...(namespace !== undefined && { namespace }) };
  return Object.entries(fields).every(([field, text]) => {
    return typeof text === "string" && forms[field as keyof typeof forms].test(text);
  });
}
