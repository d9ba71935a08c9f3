import type { ApiClient } from "../client/api-client.ts";
import { isNotFound } from "../client/api-error.ts";
import type { Manifest } from "./manifests.ts";

interface ApiResources {
  readonly resources: readonly { readonly name: string; readonly kind: string; readonly namespaced: boolean }[];
}

/** Finds the paths of objects. Undefined: the API server does not know the kind. */
export type FindPath = (object: Pick<Manifest, "apiVersion" | "kind" | "metadata">) => Promise<string | undefined>;

/** A kind with a namespace has an object without one, or the reverse. */
export class WrongScope extends Error {}

/** Finds paths by API discovery, which is asked once for each API version. */
export function objectPaths(client: Pick<ApiClient, "get">): FindPath {
  const known = new Map<string, Promise<ApiResources["resources"]>>();
  return async ({ apiVersion, kind, metadata: { name, namespace } }) => {
    const root = `/${apiVersion.includes("/") ? "apis" : "api"}/${apiVersion}`;
    const listing = known.get(root) ?? listResources(client, root);
    known.set(root, listing);
    const resource = (await listing).find((one) => one.kind === kind && !one.name.includes("/"));
    if (!resource) return undefined;
    if (resource.namespaced !== (namespace !== undefined)) {
      throw new WrongScope(`${kind} ${name} ${resource.namespaced ? "needs a namespace" : "has no namespace"}`);
    }
    const place = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
    return `${root}${place}/${resource.name}/${encodeURIComponent(name)}`;
  };
}

async function listResources(client: Pick<ApiClient, "get">, root: string): Promise<ApiResources["resources"]> {
  try {
    return (await client.get<ApiResources>(root)).resources;
  } catch (error) {
    if (isNotFound(error) || isMissingPage(error)) return [];
    throw error;
  }
}

/** An unknown API group is a 404 of the server's router, without a Status. */
function isMissingPage(error: unknown): boolean {
  return error instanceof Error && "status" in error && error.status === 404;
}
