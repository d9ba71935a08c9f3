import type { ClusterReport } from "#core/ports/cluster-report.ts";
import { printableText } from "#core/text/printable-text.ts";
import type { NodeTypeRule, Toleration } from "../eks/node-groups.ts";
import type { Answer } from "./answers.ts";

/** The requirements of a stage on its cluster. */
export interface ClusterNeeds {
  readonly cluster: string;
  readonly stage: string;
  /** The stage makes the cluster with all its parts. */
  readonly isOwn: boolean;
  /** The node groups that it makes. */
  readonly ownGroups: readonly OwnGroup[];
  /** The account that the stage is deployed to, if it is configured. */
  readonly account: string | undefined;
  /** The stage's roles that reach the cluster, each with its group in the cluster. */
  readonly roles: readonly { readonly name: string; readonly group: string }[];
  /** Functions reach the API server in its network, and not at its public endpoint. */
  readonly isPrivate: boolean;
  readonly hasGateway: boolean;
  readonly tolerations: readonly Toleration[];
  readonly nodeTypes: readonly NodeTypeRule[];
  /** Pools whose machines NODE_GROUPS names, so no node group has to create them. */
  readonly otherPools: readonly string[];
}

/** A node group of a stage's own cluster. */
export interface OwnGroup {
  readonly name: string;
  readonly minSize: number;
  readonly maxSize: number;
}

/** Returns what to do about a part that a deployment makes on a cluster of the stage's own, and an operator on another. */
export function toMake({ isOwn, stage }: ClusterNeeds, otherwise: string): string {
  const refresh = `\`npm run sst -- refresh --stage ${stage}\``;
  return isOwn ? `Deploy: that makes it. If it was changed by hand, run ${refresh} before` : otherwise;
}

/** Checks an answer, or reports the check as left out if EKS gave none. */
export function checkAnswer<T>(what: string, answer: Answer<T>, check: (value: T) => ClusterReport): ClusterReport {
  if ("value" in answer) return check(answer.value);
  return { findings: [], leftOut: [{ what, why: answer.refusal }] };
}

export function joinReports(reports: readonly ClusterReport[]): ClusterReport {
  return {
    findings: reports.flatMap(({ findings }) => findings),
    leftOut: reports.flatMap(({ leftOut }) => leftOut),
  };
}

interface Issue {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

const MOST_CHARACTERS = 300;

/** Returns a health issue of EKS in one line. */
export function describeIssue({ code, message }: Issue): string {
  return printableText([code, message].filter(Boolean).join(": ")).slice(0, MOST_CHARACTERS);
}
