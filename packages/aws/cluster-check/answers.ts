import {
  type AccessEntry,
  type Addon,
  type Cluster,
  DescribeAccessEntryCommand,
  DescribeAddonCommand,
  DescribeClusterCommand,
  type EKSClient,
  type Nodegroup,
  paginateListAccessEntries,
  ResourceNotFoundException,
} from "@aws-sdk/client-eks";
import { kindOfError } from "#core/problem.ts";
import { listNodeGroups } from "../eks/node-groups.ts";

/** The answer of EKS to one call, or the reason why there is no answer. */
export type Answer<T> = { readonly value: T } | { readonly refusal: string };

/** The answers of EKS about one cluster. */
export interface ClusterAnswers {
  /** Undefined if there is no such cluster. */
  readonly cluster: Answer<Cluster | undefined>;
  /** The add-ons in `addonNames` that EKS manages. */
  readonly addons: Answer<readonly Addon[]>;
  /** Those of roles that have one of the asked names. */
  readonly accessEntries: Answer<readonly AccessEntry[]>;
  readonly nodeGroups: Answer<readonly Nodegroup[]>;
}

export const addonNames = ["aws-ebs-csi-driver", "vpc-cni", "eks-pod-identity-agent"] as const;

const MOST_MS = 30_000;
/** EKS throttles many calls at once. A stage has about nine entries, and a cluster may have many stages. */
const ENTRIES_AT_ONCE = 20;

/** Reads a cluster, and changes nothing. `roleNames` are the beginnings of the names of roles, before a last dash. */
export async function readCluster(
  eks: EKSClient,
  clusterName: string,
  roleNames: readonly string[],
): Promise<ClusterAnswers> {
  const signal = AbortSignal.timeout(MOST_MS);
  const cluster = await ask(() => findCluster(eks, clusterName, signal));
  if (!("value" in cluster && cluster.value)) {
    const refusal = "value" in cluster ? "there is no cluster" : cluster.refusal;
    return { cluster, addons: { refusal }, accessEntries: { refusal }, nodeGroups: { refusal } };
  }
  const [addons, accessEntries, nodeGroups] = await Promise.all([
    ask(() => findAddons(eks, clusterName, signal)),
    ask(() => findAccessEntries(eks, clusterName, (name) => roleNames.includes(name), signal)),
    ask(() => listNodeGroups(eks, clusterName, signal)),
  ]);
  return { cluster, addons, accessEntries, nodeGroups };
}

/** Returns the kind of an error in place of an answer. Its message may name the caller's account and session. */
async function ask<T>(read: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    return { refusal: `EKS gave no answer (${kindOfError(error)})` };
  }
}

export async function findCluster(
  eks: EKSClient,
  name: string,
  abortSignal: AbortSignal,
): Promise<Cluster | undefined> {
  const answer = await unlessMissing(eks.send(new DescribeClusterCommand({ name }), { abortSignal }));
  return answer?.cluster;
}

async function findAddons(eks: EKSClient, clusterName: string, abortSignal: AbortSignal): Promise<Addon[]> {
  const answers = await Promise.all(
    addonNames.map((addonName) =>
      unlessMissing(eks.send(new DescribeAddonCommand({ clusterName, addonName }), { abortSignal })),
    ),
  );
  return answers.flatMap((answer) => answer?.addon ?? []);
}

/** Finds the access entries of roles that a stage made, under names for which `isWanted` returns true. */
export async function findAccessEntries(
  client: EKSClient,
  clusterName: string,
  isWanted: (roleName: string) => boolean,
  abortSignal: AbortSignal,
): Promise<AccessEntry[]> {
  const arns: string[] = [];
  for await (const { accessEntries = [] } of paginateListAccessEntries({ client }, { clusterName }, { abortSignal }))
    arns.push(...accessEntries.filter((arn) => isWanted(readRoleName(arn) ?? "")));
  const entries: AccessEntry[] = [];
  for (let at = 0; at < arns.length; at += ENTRIES_AT_ONCE) {
    const calls = arns
      .slice(at, at + ENTRIES_AT_ONCE)
      .map((principalArn) =>
        unlessMissing(client.send(new DescribeAccessEntryCommand({ clusterName, principalArn }), { abortSignal })),
      );
    for (const answer of await Promise.all(calls)) entries.push(...(answer?.accessEntry ? [answer.accessEntry] : []));
  }
  return entries;
}

/** Returns the name that a stage gives to a role. The provider appends a dash and seven digits. */
export function readRoleName(arn: string): string | undefined {
  return /:role\/(?:.*\/)?([A-Za-z]+)-[0-9a-f]{7}$/.exec(arn)?.[1];
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}
