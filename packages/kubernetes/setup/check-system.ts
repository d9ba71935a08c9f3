import type { ClusterReport } from "#core/ports/cluster-report.ts";
import type { ApiClient } from "../client/api-client.ts";
import type { KubeObject } from "../objects.ts";
import type { OwnCluster } from "./server-version.ts";

/** A workload of kube-system. */
interface SystemPart {
  readonly name: string;
  readonly kind: "deployments" | "daemonsets";
  /** Why a cluster needs it. */
  readonly need: string;
  /** EKS installs it in a cluster of a stage's own. */
  readonly isAddOn: boolean;
  /** Why a cluster that exists is not checked for it. Undefined if Berth does not need it there. */
  readonly elsewhere?: string;
}

/**
 * Workloads that a stage's own cluster must have. Others may lack kube-proxy: Cilium replaces it, k3s runs it in the
 * process of its agent, and EKS Auto Mode on the machine.
 */
const parts: readonly SystemPart[] = [
  {
    name: "coredns",
    kind: "deployments",
    need: "jobs need it to find hosts by name",
    isAddOn: true,
    elsewhere:
      "kube-system has no Deployment coredns, so the cluster has another DNS: `getent hosts github.com` in a job tries it",
  },
  { name: "kube-proxy", kind: "daemonsets", need: "pods need it to reach Services, such as DNS", isAddOn: true },
  {
    name: "aws-node",
    kind: "daemonsets",
    need: "pods get their addresses and network policies from it",
    isAddOn: true,
  },
  { name: "ebs-csi-controller", kind: "deployments", need: "it attaches the disks of jobs", isAddOn: true },
  { name: "ebs-csi-node", kind: "daemonsets", need: "it mounts the disks of jobs", isAddOn: true },
  { name: "eks-pod-identity-agent", kind: "daemonsets", need: "it gives pods their roles", isAddOn: true },
  { name: "metrics-server", kind: "deployments", need: "`kubectl top` needs it", isAddOn: true },
  // The check of objects names an autoscaler that is missing.
  { name: "cluster-autoscaler", kind: "deployments", need: "it starts machines for jobs that wait", isAddOn: false },
];

type Client = Pick<ApiClient, "find">;

/** Reports parts of kube-system that are not ready, or that a stage's own cluster lacks. */
export async function checkSystem(client: Client, own: OwnCluster | undefined): Promise<ClusterReport> {
  const reports: ClusterReport[] = [];
  for (const part of parts) reports.push(await checkPart(client, part, own));
  return {
    findings: reports.flatMap(({ findings }) => findings),
    leftOut: reports.flatMap(({ leftOut }) => leftOut),
  };
}

interface Workload extends KubeObject {
  readonly spec: { readonly selector: { readonly matchLabels?: Readonly<Record<string, string>> } };
  readonly status?: {
    readonly availableReplicas?: number;
    readonly numberAvailable?: number;
    readonly desiredNumberScheduled?: number;
  };
}

async function checkPart(client: Client, part: SystemPart, own: OwnCluster | undefined): Promise<ClusterReport> {
  const { name, kind, need } = part;
  const workload = await client.find<Workload>(`/apis/apps/v1/namespaces/kube-system/${kind}/${name}`);
  if (!workload) return reportMissing(part, own);
  const problem = findProblem(workload, kind);
  if (problem === undefined) return { findings: [], leftOut: [] };
  const selector = Object.entries(workload.spec.selector.matchLabels ?? {}).map(
    ([label, value]) => `${label}=${value}`,
  );
  const todo = `kubectl -n kube-system describe pods -l ${selector.join()} says why, or their logs do`;
  return { findings: [{ what: name, missing: `${problem}, and ${need}`, todo }], leftOut: [] };
}

function reportMissing({ name, need, isAddOn, elsewhere }: SystemPart, own: OwnCluster | undefined): ClusterReport {
  if (!own) return { findings: [], leftOut: elsewhere === undefined ? [] : [{ what: name, why: elsewhere }] };
  if (!isAddOn) return { findings: [], leftOut: [] };
  const missing = `it is not installed, and ${need}`;
  const refresh = `\`npm run sst -- refresh --stage ${own.stage}\``;
  const todo = `Deploy: that creates the add-on of EKS. If it was deleted by hand, run ${refresh} before`;
  return { findings: [{ what: name, missing, todo }], leftOut: [] };
}

/** A Deployment works with one pod. A DaemonSet does its work on each machine. */
function findProblem({ status = {} }: Workload, kind: SystemPart["kind"]): string | undefined {
  const { availableReplicas = 0, numberAvailable = 0, desiredNumberScheduled = 0 } = status;
  if (kind === "deployments") return availableReplicas === 0 ? "none of its pods is ready" : undefined;
  if (numberAvailable >= desiredNumberScheduled) return undefined;
  return `it is ready on ${numberAvailable} of ${desiredNumberScheduled} machines`;
}
