import { instanceTypes } from "#core/fleet.ts";
import { type NodeTypeRule, termsOfType } from "../nodes/node-type.ts";
import { podTolerations, type Toleration } from "../nodes/tolerations.ts";
import { type PodSettings, pullingWith } from "../runs/pod-settings.ts";
import type { Manifest } from "./manifests.ts";

/** The settings of a deployment for images that machines pull ahead. */
export interface PrepullSetup {
  readonly images: readonly string[];
  readonly toolsImage: string;
  /** Names the objects, so that each stage on a cluster has its own. Undefined without a stage. */
  readonly deployment: string | undefined;
  readonly nodeTypes: readonly NodeTypeRule[];
  readonly tolerations: readonly Toleration[];
  readonly pods: Pick<PodSettings, "pullSecrets" | "patch">;
}

interface DaemonSet extends Manifest {
  readonly spec: {
    readonly template: {
      readonly metadata: object;
      readonly spec: { readonly initContainers: readonly object[]; readonly containers: readonly object[] };
    };
  };
}

/** Returns the objects of deploy/kubernetes/prepull with what a deployment knows. */
export function fillPrepull(manifests: readonly Manifest[], setup: PrepullSetup): Manifest[] {
  return manifests.map((manifest) => fillDaemonSet(manifest as DaemonSet, setup));
}

/** The pods run where jobs with GPUs may: same machines, tolerations, and labels that policies of the cluster ask for. */
function fillDaemonSet({ metadata, spec, ...manifest }: DaemonSet, setup: PrepullSetup): Manifest {
  const { images, toolsImage, deployment, nodeTypes, tolerations, pods } = setup;
  const name = deployment === undefined ? metadata.name : `${deployment}-prepull`;
  const labels = { "app.kubernetes.io/name": name };
  const { initContainers, containers, ...pod } = spec.template.spec;
  const withGpus = instanceTypes.filter(({ gpus }) => gpus > 0);
  const nodeSelectorTerms = withGpus.flatMap((type) => termsOfType(type.name, [], nodeTypes));
  const { labels: added, annotations } = pods.patch?.metadata ?? {};
  return {
    ...manifest,
    metadata: { ...metadata, name },
    spec: {
      ...spec,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels: { ...added, ...labels }, ...(annotations && { annotations }) },
        spec: {
          ...pod,
          ...pullingWith(pods.pullSecrets),
          ...(pods.patch?.spec?.nodeSelector && { nodeSelector: pods.patch.spec.nodeSelector }),
          affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
          tolerations: podTolerations(tolerations),
          initContainers: initContainers.map((container) => ({ ...container, image: toolsImage })),
          containers: containers.flatMap((container) =>
            images.map((image, at) => ({ ...container, name: `image-${at}`, image })),
          ),
        },
      },
    },
  };
}
