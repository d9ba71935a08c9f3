import type { ApiClient } from "#kubernetes/client/api-client.ts";
import { isNotFound } from "#kubernetes/client/api-error.ts";
import { label } from "#kubernetes/names.ts";
import type { KubeObject } from "#kubernetes/objects.ts";
import { isTombstone } from "#kubernetes/runs/tombstone.ts";
import { formatObjectName, type Manifest } from "#kubernetes/setup/manifests.ts";
import { findOwner } from "#kubernetes/setup/object-owner.ts";
import { describeApplyError } from "#kubernetes/setup/plan-lines.ts";
import type { RemovalStep } from "./removal-step.ts";

type Client = Pick<ApiClient, "list">;

interface ClusterStep extends Pick<RemovalStep, "what" | "todo"> {
  find(client: Client, deployment: string): Promise<readonly string[]>;
}

/** The runs of jobs. With their nodes and claims, they hold volumes and machines. */
export const environments: ClusterStep = {
  what: "environments on the cluster",
  todo:
    "Pause the stage, so that no job starts (npx berth admin pause), and end each one: npx berth admin jobs lists them, " +
    "and npx berth admin end ends one",
  find: async (client, deployment) => {
    const names = await listNames<KubeObject>(client, jobsPath, (job) => {
      const { name, labels = {} } = job.metadata;
      return labels[label.deployment] === deployment && !isTombstone(job) ? (labels[label.uid] ?? name) : undefined;
    });
    // A job of several machines has an object for each.
    return [...new Set(names)];
  },
};

/** Objects of the stage that would stay on its cluster, also on one that other stages use. */
export const objectsOfStage: ClusterStep = {
  what: "the stage's gateway, images to pull ahead and capabilities",
  todo:
    "Set ACCESS=none, remove SSH_HOST_KEYS, SSH_GATEWAY, PREPULL_IMAGES and POD_CAPABILITIES, and deploy: that deletes them. " +
    "What kubectl applied stays: kubectl delete -k deploy/kubernetes/gateway",
  find: async (client, deployment) => {
    const kinds = [["Service", "/api/v1/namespaces/berth-system/services"], ...appliedKinds] as const;
    const found = await Promise.all(
      kinds.map(([kind, path]) =>
        listNames<Manifest & KubeObject>(client, path, (object) =>
          findOwner(object) === deployment ? formatName(kind, object) : undefined,
        ),
      ),
    );
    return found.flat();
  },
};

/** Objects of others on a cluster that the removal deletes. Their load balancers, volumes and machines would stay. */
export const objectsOfOthers: ClusterStep = {
  what: "load balancers, volumes, machines and objects of others on the cluster",
  todo:
    "Delete each. Remove Karpenter's machines by its NodePools, and other stages by npm run remove. The label " +
    "berth/deployment marks what a removed stage left, and what cluster:apply made without a stage (no-stage)",
  find: async (client, deployment) => {
    const found = await Promise.all([
      listNames<Service>(client, "/api/v1/services", (service) => {
        const isOfStage = findLabel(service) === deployment && service.metadata.namespace === "berth-system";
        return service.spec?.type === "LoadBalancer" && !isOfStage ? formatName("Service", service) : undefined;
      }),
      listNames<KubeObject>(client, "/apis/networking.k8s.io/v1/ingresses", (ingress) =>
        formatName("Ingress", ingress),
      ),
      listNames<KubeObject>(client, "/api/v1/persistentvolumes", (volume) =>
        findLabel(volume) === undefined ? formatName("PersistentVolume", volume) : undefined,
      ),
      listNames<KubeObject>(client, "/api/v1/nodes", (node) =>
        node.metadata.labels?.[NODE_GROUP] === undefined ? formatName("Node", node) : undefined,
      ),
      listOfOtherStages(client, deployment),
    ]);
    return found.flat();
  },
};

/** Returns one object of each other stage. The removal of that stage, or its label, leads to its other objects. */
async function listOfOtherStages(client: Client, deployment: string): Promise<readonly string[]> {
  const kinds = [["Job", jobsPath], ["PersistentVolume", "/api/v1/persistentvolumes"], ...appliedKinds] as const;
  const byOwner = new Map<string, string>();
  for (const [kind, path] of kinds) {
    await listNames<Manifest & KubeObject>(client, path, (object) => {
      const owner = findOwner(object);
      if (owner === undefined || owner === deployment || isTombstone(object) || byOwner.has(owner)) return undefined;
      byOwner.set(owner, `${formatName(kind, object)} of ${owner}`);
      return undefined;
    });
  }
  return [...byOwner.values()];
}

const jobsPath = "/apis/batch/v1/namespaces/berth-environments/jobs";
/**
 * Kinds of the objects that `cluster:apply` makes for one stage. The settings of a gateway name their deployment, also if
 * `kubectl` applied them without the label.
 */
const appliedKinds = [
  ["ConfigMap", "/api/v1/namespaces/berth-system/configmaps"],
  ["Deployment", "/apis/apps/v1/namespaces/berth-system/deployments"],
  ["DaemonSet", "/apis/apps/v1/namespaces/berth-environments/daemonsets"],
] as const;
/** EKS labels the machines of its managed node groups. The removal deletes these. */
const NODE_GROUP = "eks.amazonaws.com/nodegroup";

interface Service extends KubeObject {
  readonly spec?: { readonly type?: string };
}

function findLabel({ metadata }: KubeObject): string | undefined {
  return metadata.labels?.[label.deployment];
}

function formatName(kind: string, { metadata: { name, namespace } }: KubeObject): string {
  return formatObjectName({ kind, metadata: { name, ...(namespace !== undefined && { namespace }) } });
}

/** Returns the names that `name` gives to the listed objects. A namespace that does not exist has none. */
async function listNames<Item>(
  client: Client,
  path: string,
  name: (item: Item) => string | undefined,
): Promise<readonly string[]> {
  try {
    const { items } = await client.list(path, (item: Item) => [name(item) ?? []].flat());
    return items;
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/** A cluster that gives no answers. */
export interface ClosedCluster {
  readonly refusal: string;
  /** The advice that opens the cluster. The default is to correct the reason. */
  readonly todo?: string | undefined;
}

/** What to do about a cluster that cannot be reached. */
export const opening =
  "Correct that, or reach the cluster as a file says (--kubeconfig). Only --force removes the stage without an answer";

/** Does a step on a cluster, which is undefined if it is gone. */
export async function findInCluster(
  { find, ...step }: ClusterStep,
  cluster: Client | ClosedCluster | undefined,
  deployment: string,
): Promise<RemovalStep> {
  if (cluster === undefined) return { ...step, left: { value: [] } };
  if ("refusal" in cluster) {
    const { refusal, todo } = cluster;
    return { ...step, left: { refusal }, ...(todo !== undefined && { whenUnknown: todo }) };
  }
  try {
    return { ...step, left: { value: await find(cluster, deployment) } };
  } catch (error) {
    return { ...step, left: { refusal: describeApplyError(error) }, whenUnknown: opening };
  }
}
