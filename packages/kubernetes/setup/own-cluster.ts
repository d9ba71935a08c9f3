import type { Manifest } from "./manifests.ts";

/** The settings of a stage for the cluster that it makes. */
export interface OwnClusterSetup {
  readonly clusterName: string;
  readonly region: string;
  /** Node groups on which each device plugin runs, by the name of its DaemonSet. */
  readonly groupsOfPlugins: Readonly<Record<PluginName, readonly string[]>>;
}

/** Device plugins of deploy/kubernetes/own-cluster: NVIDIA's for AMIs that lack it, and AWS's for EFA. */
type PluginName = "nvidia-device-plugin" | "aws-efa-k8s-device-plugin";

/** Returns the objects of deploy/kubernetes/own-cluster with what a stage knows. Leaves out a device plugin without groups. */
export function fillOwnCluster(manifests: readonly Manifest[], setup: OwnClusterSetup): Manifest[] {
  return manifests.flatMap((manifest) => {
    if (manifest.kind === "Deployment") return [fillAutoscaler(manifest, setup)];
    if (manifest.kind !== "DaemonSet") return [manifest];
    const groups = setup.groupsOfPlugins[manifest.metadata.name as PluginName];
    return groups.length === 0 ? [] : [fillPlugin(manifest, groups)];
  });
}

interface Workload<Pod> extends Manifest {
  readonly spec: { readonly template: { readonly spec: Pod } };
}

type Autoscaler = Workload<{ readonly containers: readonly { readonly command: readonly string[] }[] }>;

function fillAutoscaler(manifest: Manifest, { clusterName, region }: OwnClusterSetup): Manifest {
  return changePod(manifest as Autoscaler, (pod) => ({
    ...pod,
    containers: pod.containers.map((container) => ({
      ...container,
      command: container.command.map((word) => word.replace(/CLUSTER$/, clusterName)),
      env: [{ name: "AWS_REGION", value: region }],
    })),
  }));
}

function fillPlugin(manifest: Manifest, groups: readonly string[]): Manifest {
  const matchExpressions = [{ key: "eks.amazonaws.com/nodegroup", operator: "In", values: groups }];
  const required = { nodeSelectorTerms: [{ matchExpressions }] };
  const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } };
  return changePod(manifest as Workload<object>, (pod) => ({ ...pod, affinity }));
}

function changePod<Pod>(manifest: Workload<Pod>, change: (pod: Pod) => Pod): Manifest {
  const { spec } = manifest;
  const { template } = spec;
  return { ...manifest, spec: { ...spec, template: { ...template, spec: change(template.spec) } } };
}
