import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ConfigName, readConfigOf } from "#aws/settings/config.ts";
import { allSettingSchemas } from "#aws/settings/pod-setting-schemas.ts";
import { imageFault } from "#core/text/image-reference.ts";
import { readHostKeys } from "#gateway-server/host-keys.ts";
import type { OwnedManifests } from "#kubernetes/setup/apply.ts";
import { markCapabilities, NO_STAGE } from "#kubernetes/setup/capability-stages.ts";
import { fillGateway, type GatewaySetup } from "#kubernetes/setup/gateway.ts";
import { type Manifest, overlayManifests, readManifests } from "#kubernetes/setup/manifests.ts";
import { fillOwnCluster } from "#kubernetes/setup/own-cluster.ts";
import { fillPrepull } from "#kubernetes/setup/prepull.ts";
import type { OwnCluster } from "#kubernetes/setup/server-version.ts";
import type { NodeGroup } from "../../stacks/cluster/node-group-schema.ts";
import { chooseAmi } from "../../stacks/cluster/node-groups.ts";
import { KUBERNETES_VERSION } from "../../stacks/cluster/settings.ts";
import type { Stage } from "../../stacks/stage.ts";

/** Objects that a cluster needs. */
export interface Wanted {
  /** The objects that all stages on the cluster share. */
  readonly shared: readonly Manifest[];
  /** The objects of one stage, or of an apply without a stage. Undefined if `shared` has them. */
  readonly owned: OwnedManifests | undefined;
}

type Settings = Readonly<Record<string, string | undefined>>;

const folder = fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url));

/** Bad settings of the gateway. Below a heading, the message may have a line for each of them. */
export class GatewaySettingsError extends Error {
  /** The objects that do not depend on these settings. */
  readonly others: Wanted;

  constructor(cause: unknown, others: Wanted) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "GatewaySettingsError";
    this.others = others;
  }
}

/**
 * Returns the objects of deploy/kubernetes. A stage adds its gateway, and the objects of a cluster that it makes. Each
 * stage on a cluster has its own images to pull ahead, and so has an apply without a stage. `capabilityStages` are the
 * deployments on the cluster that need deploy/kubernetes/capabilities, so no stage takes it from another. Throws
 * `GatewaySettingsError`, or an error that names other bad settings.
 */
export async function readWanted(
  settings: Settings,
  stage: Stage | undefined,
  capabilityStages: readonly string[] = [],
): Promise<Wanted> {
  const { POD_CAPABILITIES } = readConfigOf(allSettingSchemas, ["POD_CAPABILITIES"], settings);
  const base = await readManifests(folder);
  const isOwn = POD_CAPABILITIES.length > 0;
  const deployment = stage?.tableName ?? NO_STAGE;
  const isShared = isOwn || capabilityStages.some((each) => each !== deployment);
  const shared = overlayManifests(base, isShared ? await readManifests(join(folder, "capabilities")) : []);
  const prepull = await readPrepull(settings, stage?.tableName);
  const marks = isOwn ? [markCapabilities(deployment)] : [];
  const cluster = stage?.newCluster ? await readOwnCluster(settings, stage, stage.newCluster.groups) : [];
  const others = { shared, owned: { deployment, manifests: [...cluster, ...marks, ...prepull] } };
  if (!stage?.gateway) return others;
  const setup = await readSetup(settings, stage).catch((error: unknown) => {
    throw new GatewaySettingsError(error, others);
  });
  const gateway = fillGateway(await readManifests(join(folder, "gateway")), setup);
  return { shared, owned: { ...others.owned, manifests: [...others.owned.manifests, ...gateway] } };
}

/** Returns what a stage wants of the cluster that it makes; undefined if the cluster existed before. */
export function findOwnCluster(stage: Stage | undefined): OwnCluster | undefined {
  return stage?.newCluster && { stage: stage.name, version: KUBERNETES_VERSION };
}

const prepullNames = [
  "PREPULL_IMAGES",
  "TOOLS_IMAGE",
  "NODE_TYPES",
  "NODE_TOLERATIONS",
  "IMAGE_PULL_SECRETS",
  "POD_PATCH",
] as const satisfies ConfigName[];

async function readPrepull(settings: Settings, deployment: string | undefined): Promise<Manifest[]> {
  const config = readConfigOf(allSettingSchemas, prepullNames, settings);
  const { PREPULL_IMAGES: images, TOOLS_IMAGE: toolsImage } = config;
  if (images.length === 0) return [];
  if (!toolsImage) throw new Error("PREPULL_IMAGES needs TOOLS_IMAGE, whose program sleeps in each of the images");
  return fillPrepull(await readManifests(join(folder, "prepull")), {
    images,
    toolsImage,
    deployment,
    nodeTypes: config.NODE_TYPES,
    tolerations: config.NODE_TOLERATIONS,
    pods: { pullSecrets: config.IMAGE_PULL_SECRETS, patch: config.POD_PATCH },
  });
}

async function readOwnCluster(
  { AWS_REGION }: Settings,
  { name, eksCluster }: Stage,
  groups: readonly NodeGroup[],
): Promise<Manifest[]> {
  if (!AWS_REGION) throw new Error(`The objects of stage ${name}'s own cluster need AWS_REGION`);
  return fillOwnCluster(await readManifests(join(folder, "own-cluster")), {
    clusterName: eksCluster,
    region: AWS_REGION,
    groupsOfPlugins: {
      "nvidia-device-plugin": listNodeGroups(groups.filter(lacksPlugin)),
      "aws-efa-k8s-device-plugin": listNodeGroups(groups.filter(({ efa }) => efa)),
    },
  });
}

function listNodeGroups(groups: readonly NodeGroup[]): string[] {
  return groups.flatMap(({ name, zones }) => zones.map((zone) => `${name}-${zone}`));
}

/**
 * Bottlerocket's AMI for NVIDIA has the device plugin, and Amazon Linux's has not (EKS User Guide, "Install Kubernetes
 * device plugin for GPUs").
 */
function lacksPlugin(group: NodeGroup): boolean {
  return chooseAmi(group) === "AL2023_x86_64_NVIDIA";
}

const guide = "docs/deploy.md#let-users-in";

function gatewayProblems({ GATEWAY_IMAGE = "", GATEWAY_CERTIFICATE_ARN = "", AWS_REGION = "" }: Settings): string[] {
  const fault = GATEWAY_IMAGE ? imageFault(GATEWAY_IMAGE) : "it is not set";
  const certificate = /^arn:aws[a-z-]*:acm:([a-z0-9-]+):\d{12}:certificate\/[\w-]+$/.exec(GATEWAY_CERTIFICATE_ARN);
  return [
    ...(fault === undefined ? [] : [`  GATEWAY_IMAGE must be the image that npm run images builds: ${fault}`]),
    ...(AWS_REGION ? [] : ["  AWS_REGION must be set"]),
    ...(certificate && (!AWS_REGION || certificate[1] === AWS_REGION)
      ? []
      : [`  GATEWAY_CERTIFICATE_ARN must be the ARN of a certificate for *.<DOMAIN> in ${AWS_REGION || "AWS_REGION"}`]),
  ];
}

const names = ["ALLOWED_SOURCES", "DRAIN_SECONDS", "SSH_HOST_KEYS"] as const satisfies ConfigName[];

async function readSetup(settings: Settings, stage: Stage): Promise<GatewaySetup> {
  const problems = gatewayProblems(settings);
  if (problems.length > 0) {
    throw new Error(`The gateway of stage ${stage.name} cannot be applied (${guide}):\n${problems.join("\n")}`);
  }
  const { AWS_REGION = "", DOMAIN = "", GATEWAY_IMAGE = "", GATEWAY_CERTIFICATE_ARN = "" } = settings;
  const { DRAIN_SECONDS, SSH_HOST_KEYS } = readConfigOf(allSettingSchemas, names, settings);
  const { SSH_GATEWAY } = readConfigOf(allSettingSchemas, ["SSH_GATEWAY"], stage.settings);
  return {
    image: GATEWAY_IMAGE,
    certificate: GATEWAY_CERTIFICATE_ARN,
    sshPort: SSH_GATEWAY?.port ?? 22,
    isPrivate: stage.gateway?.isPrivate ?? false,
    settings: {
      TABLE_NAME: stage.tableName,
      AWS_REGION,
      DOMAIN,
      SCHEME: settings.SCHEME || "https",
      ALLOWED_SOURCES: settings.ALLOWED_SOURCES ?? "",
    },
    drainSeconds: DRAIN_SECONDS,
    hostKeys: SSH_HOST_KEYS.join(),
    privateHostKeys: await findPrivateHostKeys(settings, SSH_HOST_KEYS),
  };
}

/** Reads HOST_KEY_FILE. Throws if SSH_HOST_KEYS lacks the first key. */
async function findPrivateHostKeys({ HOST_KEY_FILE }: Settings, told: readonly string[]): Promise<string | undefined> {
  if (!HOST_KEY_FILE) return undefined;
  const [first] = await readHostKeys(HOST_KEY_FILE);
  if (!told.includes(first.public)) {
    throw new Error("Bad settings:\n  SSH_HOST_KEYS must name the public half of the first key in HOST_KEY_FILE");
  }
  return readFile(HOST_KEY_FILE, "utf8");
}
