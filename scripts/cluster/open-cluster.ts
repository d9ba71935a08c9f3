import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DescribeClusterCommand, type EKSClient } from "@aws-sdk/client-eks";
import { systemClock } from "#aws/clock.ts";
import { eksAccess } from "#aws/eks/eks-access.ts";
import { readConfigOf } from "#aws/settings/config.ts";
import { allSettingSchemas } from "#aws/settings/pod-setting-schemas.ts";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { readKubeconfig } from "#kubernetes/client/kubeconfig.ts";
import { type Manifest, overlayManifests, readManifests } from "#kubernetes/setup/manifests.ts";
import { findEksClient } from "../../stacks/plan/cluster-plan.ts";
import { readStageFiles } from "../../stacks/stage-files.ts";

export interface OpenCluster {
  readonly client: ApiClient;
  /** Names the cluster for people. */
  readonly name: string;
  /** Settings of the stage, or of this shell without a stage. */
  readonly settings: Settings;
  /** The objects of deploy/kubernetes for these settings. */
  readonly manifests: readonly Manifest[];
}

type Settings = Readonly<Record<string, string | undefined>>;

/**
 * Opens the cluster of a stage, or without a stage that of KUBECONFIG. A stage ignores KUBECONFIG, because it may name
 * another cluster. Throws an error that says what is missing.
 */
export async function openCluster(stage: string | undefined): Promise<OpenCluster> {
  // The settings of another stage, or of none, would change another cluster.
  if (stage !== undefined && !existsSync(`.env.${stage}`))
    throw new Error(`There is no stage ${stage}: no .env.${stage}`);
  const settings = stage === undefined ? process.env : readStageFiles(stage);
  const manifests = await readWanted(settings);
  const opened = await (stage === undefined ? openKubeconfig(settings) : openEks(stage, settings));
  return { ...opened, settings, manifests };
}

async function readWanted(settings: Settings): Promise<Manifest[]> {
  const { POD_CAPABILITIES } = readConfigOf(allSettingSchemas, ["POD_CAPABILITIES"], settings);
  const folder = fileURLToPath(new URL("../../deploy/kubernetes", import.meta.url));
  const base = await readManifests(folder);
  return POD_CAPABILITIES.length > 0 ? overlayManifests(base, await readManifests(join(folder, "capabilities"))) : base;
}

type Opened = Pick<OpenCluster, "client" | "name">;

async function openKubeconfig(environment: Settings): Promise<Opened> {
  const { KUBECONFIG: file, KUBE_CONTEXT: context } = environment;
  if (!file) throw new Error("Name the cluster: --stage <stage>, or KUBECONFIG=<file>");
  const { access, context: name } = await readKubeconfig({ file, context, environment });
  return { client: apiClient(access), name: `context ${name}, ${access.url}` };
}

/** Opens the EKS cluster of a stage as the AWS identity of this shell: profile, SSO, environment or role. */
async function openEks(stage: string, settings: Settings): Promise<Opened> {
  const { EKS_CLUSTER: cluster } = settings;
  if (!cluster) throw new Error(`Stage ${stage} names no cluster: set EKS_CLUSTER in .env.${stage}`);
  const eks = await findEksClient({ ...process.env, ...settings });
  if (typeof eks === "string") throw new Error(`EKS cluster ${cluster} cannot be opened: ${eks}`);
  try {
    const { endpoint, ca } = await findAddress(eks, settings, cluster);
    const identity = await eks.config.credentials();
    const credentials = () => ({ ...identity, sessionToken: identity.sessionToken });
    const service = { name: "eks", region: await eks.config.region(), url: endpoint, credentials };
    const access = await eksAccess({ eks: service, cluster, endpoint, ca, clock: systemClock() });
    return { client: apiClient(access), name: `EKS cluster ${cluster} in ${service.region}, ${endpoint}` };
  } catch (error) {
    throw new Error(`EKS cluster ${cluster} cannot be opened: ${error instanceof Error ? error.message : error}`);
  } finally {
    eks.destroy();
  }
}

async function findAddress(eks: EKSClient, { EKS_ENDPOINT, EKS_CA, DEPLOY_ACCOUNT }: Settings, name: string) {
  const decode = (data: string) => Buffer.from(data, "base64").toString();
  if (EKS_ENDPOINT && EKS_CA) return { endpoint: EKS_ENDPOINT, ca: decode(EKS_CA) };
  const { cluster } = await eks.send(new DescribeClusterCommand({ name }));
  const { arn = "", endpoint, certificateAuthority, status } = cluster ?? {};
  const [, , , , account] = arn.split(":");
  if (DEPLOY_ACCOUNT && account !== DEPLOY_ACCOUNT) {
    throw new Error(`it is in account ${account}, and the stage is deployed to ${DEPLOY_ACCOUNT}`);
  }
  if (!endpoint || !certificateAuthority?.data) throw new Error(`it has no endpoint, and is ${status ?? "not known"}`);
  return { endpoint, ca: decode(certificateAuthority.data) };
}
