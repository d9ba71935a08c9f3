import { DescribeClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { systemClock } from "#aws/clock.ts";
import { eksAccess } from "#aws/eks/eks-access.ts";
import { type ApiClient, apiClient } from "#kubernetes/client/api-client.ts";
import { readKubeconfig } from "#kubernetes/client/kubeconfig.ts";

export interface OpenCluster {
  readonly client: ApiClient;
  /** Names the cluster for people. */
  readonly name: string;
}

type Settings = Readonly<Record<string, string | undefined>>;

/** Opens the cluster of KUBECONFIG. Throws an error that says what is missing. */
export async function openKubeconfig(environment: Settings): Promise<OpenCluster> {
  const { KUBECONFIG: file, KUBE_CONTEXT: context } = environment;
  if (!file) throw new Error("Name the cluster: --stage <stage>, or KUBECONFIG=<file>");
  const { access, context: name } = await readKubeconfig({ file, context, environment });
  return { client: apiClient(access), name: `context ${name}, ${access.url}` };
}

/**
 * Opens the EKS cluster of a stage as the AWS identity of this shell: profile, SSO, environment or role. KUBECONFIG
 * does not count, because it may name another cluster. Throws an error that says what is missing.
 */
export async function openStage(stage: string, settings: Settings): Promise<OpenCluster> {
  const { EKS_CLUSTER: cluster, AWS_REGION: region } = settings;
  if (!cluster) throw new Error(`Stage ${stage} names no cluster: set EKS_CLUSTER in .env.${stage}`);
  const eks = new EKSClient({ ...(region && { region }) });
  try {
    const { endpoint, ca } = await findAddress(eks, settings, cluster);
    const identity = await eks.config.credentials();
    const service = {
      name: "eks",
      region: await eks.config.region(),
      url: endpoint,
      credentials: () => ({ ...identity, sessionToken: identity.sessionToken }),
    };
    const access = await eksAccess({ eks: service, cluster, endpoint, ca, clock: systemClock() });
    return { client: apiClient(access), name: `EKS cluster ${cluster} in ${service.region}, ${endpoint}` };
  } catch (error) {
    throw new Error(`EKS cluster ${cluster}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    eks.destroy();
  }
}

async function findAddress(eks: EKSClient, { EKS_ENDPOINT, EKS_CA }: Settings, name: string) {
  const decode = (data: string) => Buffer.from(data, "base64").toString();
  if (EKS_ENDPOINT && EKS_CA) return { endpoint: EKS_ENDPOINT, ca: decode(EKS_CA) };
  const { cluster } = await eks.send(new DescribeClusterCommand({ name }));
  const { endpoint, certificateAuthority, status } = cluster ?? {};
  if (!endpoint || !certificateAuthority?.data) throw new Error(`it has no endpoint, and is ${status ?? "not known"}`);
  return { endpoint, ca: decode(certificateAuthority.data) };
}
