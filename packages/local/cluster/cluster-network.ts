import type { ApiClient } from "#kubernetes/client/api-client.ts";
import { label } from "#kubernetes/names.ts";
import type { KubeObject } from "#kubernetes/objects.ts";
import { buildPaths } from "#kubernetes/paths.ts";

interface NetworkPolicy extends KubeObject {
  readonly spec?: {
    readonly podSelector?: { readonly matchLabels?: object; readonly matchExpressions?: readonly unknown[] };
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
}

interface Rule {
  readonly from?: readonly unknown[];
  readonly to?: readonly unknown[];
  readonly ports?: readonly unknown[];
}

const directions = [
  { type: "Ingress", rules: "ingress", words: "what reaches environments" },
  { type: "Egress", rules: "egress", words: "what environments reach, each other and the cluster too" },
] as const;

/**
 * Lists the traffic that no policy of the namespace limits: without a policy every pod reaches every other. No object
 * tells whether the cluster's network enforces policies.
 */
export async function describeNetwork(client: ApiClient, namespace: string): Promise<string[]> {
  const { items } = await client.list<NetworkPolicy, NetworkPolicy>(buildPaths(namespace).networkPolicies, (policy) =>
    isOfRun(policy) ? [] : [policy],
  );
  const open = directions.filter(({ type, rules }) => {
    const isClosed = items.some((policy) => isOfEveryPod(policy) && hasType(policy, type));
    // Policies are additive: one that allows everything defeats the others.
    return !isClosed || items.some(({ spec }) => spec?.[rules]?.some(isEverything));
  });
  return open.map(({ words }) => `network: no policy limits ${words}: run \`npm run cluster:apply\``);
}

/** A run of several machines has a policy that joins its pods. */
function isOfRun({ metadata }: NetworkPolicy): boolean {
  return metadata.labels?.[label.uid] !== undefined;
}

function isOfEveryPod({ spec }: NetworkPolicy): boolean {
  const { matchLabels = {}, matchExpressions = [] } = spec?.podSelector ?? {};
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}

/** The API server fills in missing policyTypes: Ingress always, Egress if the policy has egress rules. */
function hasType({ spec }: NetworkPolicy, type: "Ingress" | "Egress"): boolean {
  return spec?.policyTypes?.includes(type) ?? false;
}

function isEverything({ from = [], to = [], ports = [] }: Rule): boolean {
  return [from, to, ports].every((part) => part.length === 0);
}
