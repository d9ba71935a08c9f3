import { gpuResource } from "#core/fleet.ts";
import type { ClusterReport } from "#core/ports/cluster-report.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiRefused } from "../client/api-error.ts";
import { parseQuantity } from "../client/quantities.ts";
import { type NodeTypeRule, typeOfNode } from "../nodes/node-type.ts";
import type { KubeObject, Node, Quantities } from "../objects.ts";
import { type OwnedManifests, planApply } from "./apply.ts";
import { checkSystem } from "./check-system.ts";
import { formatObjectName, type Manifest } from "./manifests.ts";
import { checkVersion, type OwnCluster } from "./server-version.ts";

/** What a cluster must have. */
export interface SetupNeeds {
  readonly manifests: readonly Manifest[];
  /** The stage's own objects. */
  readonly owned: OwnedManifests | undefined;
  /** The stage makes the cluster. */
  readonly ownCluster: OwnCluster | undefined;
  /** Disks are volumes of EBS. */
  readonly hasEbs: boolean;
  /** NODE_TYPES. */
  readonly nodeTypes: readonly NodeTypeRule[];
  /** NEW_MACHINE_RESOURCES: without such a resource, jobs do not start on a new machine. */
  readonly newMachineResources: Readonly<Record<string, Quantities>>;
  /** Settings of a stage whose users enter by a gateway. */
  readonly gateway: { readonly TABLE_NAME: string; readonly DOMAIN: string } | undefined;
}

type Client = Pick<ApiClient, "get" | "find" | "apply" | "remove" | "list">;
type Check = (client: Client, needs: SetupNeeds) => Promise<ClusterReport>;

const nothing: ClusterReport = { findings: [], leftOut: [] };
const lack = (what: string, missing: string, todo: string): ClusterReport => ({
  findings: [{ what, missing, todo }],
  leftOut: [],
});

/**
 * Returns what a cluster lacks for Berth, by its own answers, and which checks the rights of the client do not allow.
 * Changes nothing. Throws if the API server cannot be reached.
 */
export async function checkSetup(client: Client, needs: SetupNeeds): Promise<ClusterReport> {
  const reports: ClusterReport[] = [];
  for (const [what, check] of Object.entries(checks)) {
    reports.push(await check(client, needs).catch((error: unknown) => leaveOut(what, error)));
  }
  return {
    findings: reports.flatMap(({ findings }) => findings),
    leftOut: reports.flatMap(({ leftOut }) => leftOut),
  };
}

function leaveOut(what: string, error: unknown): ClusterReport {
  if (!(error instanceof ApiRefused) || error.status !== 403) throw error;
  return { findings: [], leftOut: [{ what, why: error.said }] };
}

const checks: Readonly<Record<string, Check>> = {
  "version of Kubernetes": (client, { ownCluster }) => checkVersion(client, ownCluster),
  "objects of deploy/kubernetes": async (client, { manifests, owned }) => {
    const { changes } = await planApply(client, manifests, owned);
    const different = changes.filter(({ action }) => action !== "keep" && action !== "leave");
    if (different.length === 0) return nothing;
    const names = different.slice(0, 3).map(({ manifest }) => formatObjectName(manifest));
    const others = different.length > 3 ? ` and ${different.length - 3} more` : "";
    const missing = `${names.join(", ")}${others} ${different.length === 1 ? "is" : "are"} not as this version wants`;
    return lack("objects of deploy/kubernetes", missing, "npm run cluster:apply, which shows the differences first");
  },
  "parts of kube-system": (client, { ownCluster }) => checkSystem(client, ownCluster),
  "driver of disks": async (client, { hasEbs }) => {
    const isThere = !hasEbs || (await client.find("/apis/storage.k8s.io/v1/csidrivers/ebs.csi.aws.com")) !== undefined;
    if (isThere) return nothing;
    return lack("driver of disks", "the EBS CSI driver is not installed", "Add the EKS add-on aws-ebs-csi-driver");
  },
  "GPUs of nodes": async (client, { nodeTypes, newMachineResources }) => {
    const { items } = await client.list("/api/v1/nodes", (node: Node) => {
      const type = typeOfNode(node, nodeTypes);
      if (!type || type.gpus === 0) return [];
      const resources = [gpuResource(type), ...Object.keys(newMachineResources[type.name] ?? {})];
      return resources.map((resource) => ({ node, resource }));
    });
    if (items.length === 0) {
      const why = "there is no node with GPUs now; check again once there is one";
      return { findings: [], leftOut: [{ what: "GPUs of nodes", why }] };
    }
    const silent = items.filter(({ node, resource }) => parseQuantity(node.status?.allocatable?.[resource]) === 0);
    if (silent.length === 0) return nothing;
    const names = [...new Set(silent.map(({ node }) => node.metadata.name))];
    const others = names.length > 3 ? ` and ${names.length - 3} more` : "";
    const resources = [...new Set(silent.map(({ resource }) => resource))];
    const plugin = resources.every((resource) => resource.startsWith("nvidia.com/")) ? "NVIDIA's" : "their";
    const todo = `Install ${plugin} device plugin, or see its log on these nodes`;
    return lack("GPUs of nodes", `${names.slice(0, 3).join(", ")}${others} offer no ${resources.join(" or ")}`, todo);
  },
  gateway: async (client, { gateway }) => (gateway ? checkGateway(client, gateway) : nothing),
};

/** How many checks `checkSetup` makes. */
export const setupChecks = Object.keys(checks).length;

interface Deployment extends KubeObject {
  readonly status?: { readonly availableReplicas?: number };
}

interface Service extends KubeObject {
  readonly spec?: { readonly type?: string };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly object[] } };
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const guide = "docs/deploy.md#let-users-in";

async function checkGateway(client: Client, wanted: NonNullable<SetupNeeds["gateway"]>): Promise<ClusterReport> {
  const place = "/namespaces/berth-system";
  const deployment = await client.find<Deployment>(`/apis/apps/v1${place}/deployments/berth-gateway`);
  if (!deployment)
    return lack("gateway", "it is not applied, so nobody can enter a job", `npm run cluster:apply: ${guide}`);
  const settings = await client.find<ConfigMap>(`/api/v1${place}/configmaps/berth-gateway`);
  const wrong = Object.entries(wanted).filter(([name, value]) => settings?.data?.[name] !== value);
  const findings = wrong.map(([name, value]) => ({
    what: "gateway",
    missing: `its ${name} is ${settings?.data?.[name] ?? "not set"}, and that of the stage ${value}`,
    todo: "A cluster has the gateway of one stage. If it is this one, npm run cluster:apply",
  }));
  if ((deployment.status?.availableReplicas ?? 0) === 0) {
    const missing = "none of its pods is ready; they need the Secret berth-gateway-host-key and their settings";
    const todo = "kubectl -n berth-system describe pods -l app.kubernetes.io/name=berth-gateway";
    findings.push({ what: "gateway", missing, todo });
  }
  const service = await client.find<Service>(`/api/v1${place}/services/berth-gateway`);
  if (service?.spec?.type === "LoadBalancer" && !service.status?.loadBalancer?.ingress?.length) {
    const missing = "its load balancer has no address, so nobody can enter a job";
    const todo = `kubectl -n berth-system describe service berth-gateway says why, and a new one takes minutes: ${guide}`;
    findings.push({ what: "gateway", missing, todo });
  }
  return { findings, leftOut: [] };
}
