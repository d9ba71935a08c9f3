/** What the driver reads of Kubernetes objects; times are texts of whole seconds, as the API server writes them. */
export interface Metadata {
  readonly name: string;
  /** What its name begins with, where whoever made it left the rest to the API server. */
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly uid: string }[];
}

export interface KubeObject {
  readonly metadata: Metadata;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface Job extends KubeObject {
  readonly spec?: {
    readonly suspend?: boolean;
    readonly activeDeadlineSeconds?: number;
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly { readonly image?: string; readonly envFrom?: readonly object[] }[];
        readonly volumes?: readonly PodVolume[];
      };
    };
  };
  readonly status?: { readonly startTime?: string; readonly conditions?: readonly Condition[] };
}

export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    /** From the start of the pod on; past it, its node ends it. */
    readonly activeDeadlineSeconds?: number;
    readonly containers?: readonly PodContainer[];
    readonly initContainers?: readonly PodContainer[];
    readonly volumes?: readonly PodVolume[];
    /** Of the pod as a whole, in place of what its containers ask for. */
    readonly resources?: { readonly requests?: Quantities };
    /** What its runtime takes beside them. */
    readonly overhead?: Quantities;
  };
  readonly status?: {
    readonly phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
    readonly reason?: string;
    readonly message?: string;
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

interface PodVolume {
  readonly persistentVolumeClaim?: { readonly claimName: string };
}

export interface PodContainer {
  readonly name: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly envFrom?: readonly object[];
  /** `Always` on an init container: it stays beside the others. */
  readonly restartPolicy?: string;
  readonly resources?: { readonly requests?: Quantities };
}

/** By the name of the resource: `{ "nvidia.com/gpu": "8", cpu: "500m" }`. */
export type Quantities = Readonly<Record<string, string>>;

export interface ContainerStatus {
  readonly name: string;
  /** It runs, and its startup probe succeeded where it has one. */
  readonly started?: boolean;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: { readonly startedAt?: string };
    readonly terminated?: Terminated;
  };
}

export interface Terminated {
  readonly exitCode: number;
  readonly reason?: string;
  readonly message?: string;
  readonly startedAt?: string | null;
  readonly finishedAt?: string | null;
}

export interface Node extends KubeObject {
  readonly spec: {
    readonly providerID?: string;
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly effect: string }[];
  };
  readonly status?: {
    readonly allocatable?: Quantities;
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly Condition[];
    /** Named by the kubelet from before it mounts one until it has unmounted it. */
    readonly volumesInUse?: readonly string[];
    /** Named by the controller that attaches and detaches them. */
    readonly volumesAttached?: readonly { readonly name: string }[];
  };
}

export function findCondition(
  { status }: { readonly status?: { readonly conditions?: readonly Condition[] } },
  type: string,
): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** Whether an object says this of itself. */
export function holds(
  object: { readonly status?: { readonly conditions?: readonly Condition[] } },
  type: string,
): boolean {
  return findCondition(object, type)?.status === "True";
}
