import type { Cluster, ClusterStatus } from "@aws-sdk/client-eks";
import { type Answer, findCluster } from "../../../packages/aws/cluster-check/answers.ts";
import { checkAnswer, describeIssue } from "../../../packages/aws/cluster-check/findings.ts";
import type { ClusterReport, Finding } from "../../../packages/core/ports/cluster-report.ts";
import { printableText } from "../../../packages/core/text/printable-text.ts";
import { KUBERNETES_VERSION } from "../../cluster/settings.ts";
import type { Stage } from "../../stage.ts";
import type { Environment } from "../aws-client.ts";
import { askEks } from "./ask-account.ts";

/** The cluster that has the name of a stage's own cluster, or undefined if there is none. */
export type Existing = Answer<Cluster | undefined>;

type Named = Pick<Stage, "name" | "eksCluster">;

const MOST_MS = 30_000;

export function readExisting({ eksCluster }: Named, environment: Environment): Promise<Existing> {
  return askEks(environment, (eks) => findCluster(eks, eksCluster, AbortSignal.timeout(MOST_MS)));
}

export function isOfStage({ tags = {} }: Cluster, stage: Named): boolean {
  return hasTagsOfStage(tags, stage);
}

/** Reports whether EKS accepts changes of the cluster, and its API server answers. */
export function isWorking({ status }: Cluster): boolean {
  return status === "ACTIVE" || status === "UPDATING";
}

/** SST tags all resources of a stage. */
export function hasTagsOfStage(tags: Readonly<Record<string, string>>, { name }: Pick<Stage, "name">): boolean {
  return tags["sst:app"] === "berth" && tags["sst:stage"] === name;
}

/** Finds a cluster that the deployment can neither create nor upgrade. */
export function checkExisting(existing: Existing, stage: Named): ClusterReport {
  return checkAnswer(`whether the name ${stage.eksCluster} is taken`, existing, (cluster) => ({
    findings: cluster ? findProblem(cluster, stage) : [],
    leftOut: [],
  }));
}

function findProblem(cluster: Cluster, stage: Named): Finding[] {
  const what = `cluster ${stage.eksCluster}`;
  if (!isOfStage(cluster, stage)) {
    const { "sst:app": app, "sst:stage": owner } = cluster.tags ?? {};
    const maker = app && owner ? printableText(`stage ${owner} of the app ${app}`) : "no stage";
    const missing = `the name is taken: EKS has a cluster of this name, which ${maker} made`;
    return [{ what, missing, todo: `Choose another stage name, or use it with EKS_CLUSTER=${stage.eksCluster}` }];
  }
  if (!isWorking(cluster)) {
    const issues = (cluster.health?.issues ?? []).map((issue) => `. EKS reports ${describeIssue(issue)}`).join("");
    const missing = `it is ${cluster.status}, and only a cluster that is ACTIVE can be deployed to${issues}`;
    return [{ what, missing, todo: describeWait(cluster.status, stage) }];
  }
  const upgrades = countUpgrades(cluster);
  if (upgrades === 0 || upgrades === 1) return [];
  if (upgrades < 0) {
    const missing = `it has Kubernetes ${cluster.version}, newer than ${KUBERNETES_VERSION} of this commit`;
    return [{ what, missing, todo: "Deploy a newer commit. EKS makes no version older by a deployment" }];
  }
  const missing = `it has Kubernetes ${cluster.version}, and EKS upgrades to ${KUBERNETES_VERSION} one minor version at a time`;
  return [
    { what, missing, todo: "Deploy an older commit first, with the version after the cluster's: docs/own-cluster.md" },
  ];
}

/** A cluster whose creation failed never becomes active (EKS API Reference, "Cluster", status). */
function describeWait(status: ClusterStatus | undefined, stage: Named): string {
  const wait = findWait(status, stage);
  if (wait && status === "DELETING")
    return `When this returns, run npm run sst -- refresh --stage ${stage.name}, and deploy: ${wait}`;
  if (wait) return `Deploy when this returns: ${wait}`;
  return "It stays so. Delete it, and deploy again: docs/own-cluster.md#a-control-plane-that-failed";
}

/** Returns the command that returns when EKS has made or deleted the cluster. Undefined for a status that stays. */
export function findWait(
  status: ClusterStatus | undefined,
  { eksCluster }: Pick<Stage, "eksCluster">,
): string | undefined {
  const wait = (event: string) => `aws eks wait ${event} --name ${eksCluster}`;
  if (status === "CREATING" || status === "PENDING") return wait("cluster-active");
  return status === "DELETING" ? wait("cluster-deleted") : undefined;
}

/** Returns the lines of a plan about the version of the stage's own cluster, and what a deployment does to it. */
export function versionLines(cluster: Cluster, { eksCluster }: Named): string[] {
  const upgrades = countUpgrades(cluster);
  const exists = `The stage has made the cluster ${eksCluster} already, with Kubernetes ${cluster.version}`;
  if (upgrades === 0) return [`${exists}, which this deployment keeps.`];
  if (upgrades < 0) return [`${exists}, newer than ${KUBERNETES_VERSION} of this commit: deploy a newer commit.`];
  return [
    `${exists}. This deployment upgrades it to ${KUBERNETES_VERSION},`,
    "one minor version at a time: the control plane, then the network's add-ons, then node groups, each one machine after",
    "another, then the other add-ons.",
    "  EKS drains a machine before it replaces it, and Berth's disruption budget keeps running jobs, except those that",
    "  return to the queue. The update of a group fails while a job runs on it: deploy again when it has ended.",
    "  docs/own-cluster.md#change-upgrade-remove",
  ];
}

/** Counts the minor versions from the cluster's to that of a deployment. */
function countUpgrades({ version }: Cluster): number {
  const minor = (text: string) => Number(/^1\.(\d+)$/.exec(text)?.[1]);
  // Versions of another form are not compared.
  return minor(KUBERNETES_VERSION) - minor(version ?? "") || 0;
}
