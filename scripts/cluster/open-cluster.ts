import { existsSync } from "node:fs";
import { DescribeClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { clientOptions } from "#aws/client-options.ts";
import { systemClock } from "#aws/clock.ts";
import { eksAccess } from "#aws/eks/eks-access.ts";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { readKubeconfig } from "#kubernetes/client/kubeconfig.ts";
import { findEksClient } from "../../stacks/plan/cluster-plan.ts";
import { hasTagsOfStage, isWorking } from "../../stacks/plan/new-cluster/existing-cluster.ts";
import { readStage, type Stage } from "../../stacks/stage.ts";
import { readStageFiles } from "../../stacks/stage-files.ts";

export interface OpenCluster {
  readonly client: ApiClient;
  /** Names the cluster for people. */
  readonly name: string;
  /** Settings of the stage with its region, or of this shell without a stage. */
  readonly settings: Settings;
  readonly stage: Stage | undefined;
}

export type Settings = Readonly<Record<string, string | undefined>>;

export interface ClusterChoice {
  readonly stage?: string | undefined;
  /** Leads to the cluster of the stage, for example through a tunnel. Its certificate authority is compared. */
  readonly kubeconfig?: string | undefined;
}

/**
 * Opens the cluster of a stage, or without a stage that of KUBECONFIG. A stage ignores KUBECONFIG, because it may name
 * another cluster. Throws an error that says what is missing.
 */
export async function openCluster({ stage: name, kubeconfig }: ClusterChoice): Promise<OpenCluster> {
  if (name === undefined) {
    const { KUBECONFIG, KUBE_CONTEXT } = process.env;
    const opened = await openKubeconfig(kubeconfig ?? KUBECONFIG, KUBE_CONTEXT);
    return { ...opened, settings: process.env, stage: undefined };
  }
  const { settings, stage } = await openStage(name);
  const opened = await (kubeconfig === undefined ? openEks(stage, settings) : openTunnel(kubeconfig, stage, settings));
  return { ...opened, settings, stage };
}

/** Reads a stage. Its settings have the region, if this shell or the AWS profile has one. Throws bad settings in words. */
export async function openStage(name: string): Promise<{ readonly settings: Settings; readonly stage: Stage }> {
  // The settings of another stage, or of none, would change another cluster.
  if (!existsSync(`.env.${name}`)) throw new Error(`There is no stage ${name}: no .env.${name}`);
  const files = readStageFiles(name);
  const settings = { ...files, AWS_REGION: files.AWS_REGION || (await findRegion(files)) };
  return { settings, stage: readStage(name, settings) };
}

async function findRegion({ AWS_PROFILE }: Settings): Promise<string | undefined> {
  const client = new EKSClient({ ...clientOptions(undefined), ...(AWS_PROFILE && { profile: AWS_PROFILE }) });
  return client.config.region().catch(() => undefined);
}

type Opened = Pick<OpenCluster, "client" | "name">;

async function openKubeconfig(file: string | undefined, context: string | undefined): Promise<Opened> {
  if (!file) throw new Error("Name the cluster: --stage <stage>, or KUBECONFIG=<file>");
  const { access, context: name } = await readKubeconfig({ file, context, environment: process.env });
  return { client: apiClient(access), name: `context ${name}, ${access.url}` };
}

/**
 * Opens the cluster of a stage at the server of a kubeconfig, which may be the end of a tunnel. Each cluster has its own
 * certificate authority. The client trusts no other one, and a file without it is refused in words.
 */
async function openTunnel(file: string, stage: Stage, settings: Settings): Promise<Opened> {
  const { KUBE_CONTEXT: context } = process.env;
  const { access, context: name } = await readKubeconfig({ file, context, environment: process.env });
  const { eksCluster } = stage;
  const ca = await findAuthority(stage, settings);
  const ofCluster = readCertificates(ca);
  if (!readCertificates(access.ca ?? "").some((each) => ofCluster.includes(each))) {
    throw new Error(
      `${file}: context ${name} does not lead to EKS cluster ${eksCluster}, because its certificate authority is ` +
        `${access.ca ? "another one" : "not named"}. Write the file as in ${guide}`,
    );
  }
  return { client: apiClient({ ...access, ca }), name: `context ${name}, ${access.url}` };
}

const guide = "docs/deploy.md#a-private-endpoint";

async function findAuthority(stage: Stage, settings: Settings): Promise<string> {
  if (settings.EKS_CA) return decodeSetting(settings.EKS_CA);
  const problem = `The certificate authority of EKS cluster ${stage.eksCluster} is not known`;
  const { ca } = await askEks(settings, problem, (eks) => describeAddress(eks, settings, stage));
  return ca;
}

function readCertificates(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => block.replace(/\s/g, ""));
}

/** Opens the EKS cluster of a stage as the AWS identity of this shell. */
async function openEks(stage: Stage, settings: Settings): Promise<Opened> {
  const { eksCluster: cluster } = stage;
  return askEks(settings, `EKS cluster ${cluster} cannot be opened`, async (eks) => {
    const { endpoint, ca } = await findAddress(eks, settings, stage);
    const identity = await eks.config.credentials();
    const credentials = () => ({ ...identity, sessionToken: identity.sessionToken });
    const service = { name: "eks", region: await eks.config.region(), url: endpoint, credentials };
    const access = await eksAccess({ eks: service, cluster, endpoint, ca, clock: systemClock() });
    return { client: apiClient(access), name: `EKS cluster ${cluster} in ${service.region}, ${endpoint}` };
  });
}

/** Calls EKS as the AWS identity of this shell: profile, SSO, environment or role. Throws `problem` with its reason. */
async function askEks<T>(settings: Settings, problem: string, call: (eks: EKSClient) => Promise<T>): Promise<T> {
  const eks = await findEksClient({ ...process.env, ...settings });
  if (typeof eks === "string") throw new Error(`${problem}: ${eks}`);
  try {
    return await call(eks);
  } catch (error) {
    throw new Error(`${problem}: ${error instanceof Error ? error.message : error}`);
  } finally {
    eks.destroy();
  }
}

async function findAddress(eks: EKSClient, settings: Settings, stage: Stage) {
  const { EKS_ENDPOINT, EKS_CA } = settings;
  if (EKS_ENDPOINT && EKS_CA) return { endpoint: EKS_ENDPOINT, ca: decodeSetting(EKS_CA) };
  return describeAddress(eks, settings, stage);
}

async function describeAddress(eks: EKSClient, { DEPLOY_ACCOUNT }: Settings, stage: Stage) {
  const { cluster } = await eks.send(new DescribeClusterCommand({ name: stage.eksCluster }));
  const { arn = "", endpoint, certificateAuthority, status } = cluster ?? {};
  const [, , , , account] = arn.split(":");
  if (DEPLOY_ACCOUNT && account !== DEPLOY_ACCOUNT) {
    throw new Error(`it is in account ${account}, and the stage is deployed to ${DEPLOY_ACCOUNT}`);
  }
  if (stage.newCluster && !hasTagsOfStage(cluster?.tags ?? {}, stage)) {
    throw new Error(describeForeign(stage));
  }
  if (status && !isWorking({ status })) throw new Error(`it is ${status}`);
  if (!endpoint || !certificateAuthority?.data) throw new Error("it has no endpoint");
  return { endpoint, ca: decode(certificateAuthority.data) };
}

/** Says that a cluster with the name of the stage's own has the tags of another stage, or none. */
export function describeForeign({ name }: Stage): string {
  return `stage ${name} did not make it, by its tags. Run npm run deploy:plan`;
}

function decodeSetting(ca: string): string {
  const pem = decode(ca);
  if (readCertificates(pem).length === 0) {
    throw new Error("EKS_CA holds no certificate. It must be certificateAuthority.data of aws eks describe-cluster");
  }
  return pem;
}

function decode(base64: string): string {
  return Buffer.from(base64, "base64").toString();
}
