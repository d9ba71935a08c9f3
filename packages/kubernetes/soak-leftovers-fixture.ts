import type { KubeClient, KubeObject } from "#testing/cluster/client.ts";
import { must } from "#testing/cluster/objects.ts";
import { pathsOf } from "./paths.ts";
import { isTombstone } from "./tombstone.ts";

/** What runs are made of: nothing of these stays when they are over. */
export async function leftovers(client: KubeClient, namespace: string): Promise<string[]> {
  const { jobs, pods, secrets, services, networkPolicies } = pathsOf(namespace);
  const kinds = { jobs, pods, secrets, services, networkPolicies };
  const found = await Promise.all(
    Object.entries(kinds).map(async ([kind, path]) => {
      const { items } = must(await client.get<{ items: readonly KubeObject[] }>(path));
      return items.filter(isOfRun).map(({ metadata }) => `${kind}/${metadata.name}`);
    }),
  );
  return found.flat();
}

/** Leaves out the policy of deploy/kubernetes, which is of no run, and tombstones, which the cluster deletes by itself. */
function isOfRun({ metadata }: KubeObject): boolean {
  return /[0-9a-f]{32}-r\d+/.test(metadata.name) && !isTombstone({ metadata });
}

interface Claim extends KubeObject {
  readonly status: { readonly phase: string };
}

export interface SeenClaims {
  /** Looks again; throws where the API server does not answer. */
  look(): Promise<readonly Claim[]>;
  /** Every claim that was ever seen and is there no more, or is another now. */
  lost(): Promise<string[]>;
}

/** A claim that a look found must never go: no disk is deleted. */
export function seenClaims(client: KubeClient, namespace: string): SeenClaims {
  const seen = new Map<string, string>();
  const look = async () => {
    const { items } = must(await client.get<{ items: readonly Claim[] }>(pathsOf(namespace).claims));
    for (const { metadata } of items) seen.set(metadata.uid, metadata.name);
    return items;
  };
  return {
    look,
    async lost() {
      const present = new Set((await look()).map(({ metadata }) => metadata.uid));
      return [...seen].flatMap(([uid, name]) => (present.has(uid) ? [] : [`${name} ${uid}`]));
    },
  };
}
