import { listNewResources } from "./efa.ts";
import type { NodeGroup } from "./node-group-schema.ts";
import { ZONE } from "./node-group-schema.ts";
import { type ReadGroups, readNodeGroups } from "./node-groups.ts";

/** Kubernetes of a new cluster, the minor version of the tests' control plane (tests/cluster/binary.ts). */
export const KUBERNETES_VERSION = "1.35";

/** EKS_CLUSTER=new: the stage makes its own cluster. */
export interface NewCluster {
  /** EKS_ZONES: the zones of its subnets. */
  readonly zones: readonly string[];
  /** VPC_SUBNETS: private subnets in these zones. If undefined, the stage makes the network as well. */
  readonly subnets: readonly string[] | undefined;
  /** The API server has no public endpoint. */
  readonly isPrivate: boolean;
  /** No deployment and no removal of the stage removes the cluster or a node group, until EKS_PROTECT=0 is deployed. */
  readonly isProtected: boolean;
  readonly groups: readonly NodeGroup[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const NEW = "new";

export function makesCluster({ EKS_CLUSTER }: Environment): boolean {
  return EKS_CLUSTER === NEW;
}

/** Returns the name of the cluster that a stage makes. */
export function nameNewCluster(stage: string): string {
  return `berth-${stage}`;
}

/** Returns the name of the stage's cluster, whether the stage makes it or it exists already. */
function getClusterName(stage: string, environment: Environment): string {
  return makesCluster(environment) ? nameNewCluster(stage) : (environment.EKS_CLUSTER ?? "");
}

/** Returns the settings of a stage as its functions get them, with the name and the machines of a new cluster. */
export function resolveCluster(stage: string, environment: Environment): Environment {
  if (!makesCluster(environment)) return environment;
  const NEW_MACHINE_RESOURCES = environment.NEW_MACHINE_RESOURCES || listNewResources(readGroups(environment).groups);
  return { ...environment, EKS_CLUSTER: getClusterName(stage, environment), NEW_MACHINE_RESOURCES };
}

/** Call this after `newClusterProblems` found none. */
export function findNewCluster(environment: Environment): NewCluster | undefined {
  if (!makesCluster(environment)) return undefined;
  const { VPC_SUBNETS, EKS_ACCESS, EKS_PROTECT } = environment;
  return {
    zones: readZones(environment),
    subnets: VPC_SUBNETS ? VPC_SUBNETS.split(",") : undefined,
    isPrivate: EKS_ACCESS === "private",
    isProtected: EKS_PROTECT !== "0",
    groups: readGroups(environment).groups,
  };
}

/** Settings that mean nothing for a cluster that exists already. */
const ofNewCluster = ["EKS_NODE_GROUPS", "EKS_ZONES", "EKS_PROTECT"];
/** Settings that a new cluster answers itself. */
const ofExistingCluster = ["EKS_ENDPOINT", "EKS_CA", "VPC_SECURITY_GROUPS"];

/** Returns a line for each setting that a new cluster lacks, that contradicts another, or that has no effect. */
export function newClusterProblems(environment: Environment): string[] {
  if (!makesCluster(environment)) return ofNewCluster.flatMap((name) => (environment[name] ? [needsNew(name)] : []));
  const { EKS_NODE_GROUPS, EKS_PROTECT } = environment;
  return [
    ...ofExistingCluster
      .filter((name) => environment[name])
      .map((name) => `  EKS_CLUSTER=new makes ${name}: remove it`),
    ...zoneProblems(environment),
    ...(EKS_NODE_GROUPS
      ? readGroups(environment).problems
      : ["  EKS_CLUSTER=new needs EKS_NODE_GROUPS: no job runs without"]),
    ...(["", "0", "1"].includes(EKS_PROTECT ?? "") ? [] : ["  EKS_PROTECT must be 0 or 1"]),
    ...subnetProblems(environment),
  ];
}

function subnetProblems(environment: Environment): string[] {
  const { VPC_SUBNETS = "" } = environment;
  if (!/^(subnet-[0-9a-f]+(,(?!$)|$))*$/.test(VPC_SUBNETS) || !areUnique(VPC_SUBNETS.split(",")))
    return ["  VPC_SUBNETS must be ids like subnet-0a1b,subnet-2c3d, each once"];
  const isEnough = VPC_SUBNETS === "" || VPC_SUBNETS.split(",").length >= readZones(environment).length;
  return isEnough ? [] : ["  VPC_SUBNETS needs a subnet in each zone of EKS_ZONES"];
}

function needsNew(name: string): string {
  return `  ${name} needs EKS_CLUSTER=new`;
}

/** EKS requires subnets in two zones (EKS User Guide, "View Amazon EKS networking requirements for VPC and subnets"). */
function zoneProblems(environment: Environment): string[] {
  const zones = readZones(environment);
  if (zones.length < 2 || !areUnique(zones) || !zones.every((zone) => ZONE.test(zone))) {
    return ["  EKS_CLUSTER=new needs EKS_ZONES, two zones or more, each once, like us-east-1a,us-east-1b"];
  }
  const region = environment.AWS_REGION || zones[0]?.slice(0, -1);
  const foreign = zones.filter((zone) => zone.slice(0, -1) !== region);
  return foreign.length > 0 ? [`  EKS_ZONES has ${foreign.join(", ")}, which is not in the region ${region}`] : [];
}

function areUnique(words: readonly string[]): boolean {
  return new Set(words).size === words.length;
}

function readZones({ EKS_ZONES = "" }: Environment): string[] {
  return EKS_ZONES.split(",").map((zone) => zone.trim());
}

function readGroups(environment: Environment): ReadGroups {
  return readNodeGroups(environment.EKS_NODE_GROUPS ?? "", readZones(environment));
}
