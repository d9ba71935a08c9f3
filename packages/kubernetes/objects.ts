/** Fields that the driver reads. Times are texts in whole seconds. */
export interface Metadata {
  readonly name: string;
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
        readonly imagePullSecrets?: readonly { readonly name?: string }[];
      };
    };
  };
  readonly status?: { readonly startTime?: string; readonly conditions?: readonly Condition[] };
}

export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    /** Seconds since the pod's start, after which the kubelet ends it. */
    readonly activeDeadlineSeconds?: number;
    readonly terminationGracePeriodSeconds?: number;
    readonly containers?: readonly PodContainer[];
    readonly initContainers?: readonly PodContainer[];
    readonly volumes?: readonly PodVolume[];
    readonly imagePullSecrets?: readonly { readonly name?: string }[];
    /** Pod-level requests, which replace those of the containers. */
    readonly resources?: { readonly requests?: Quantities };
    /** Overhead of the pod's runtime class. */
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
  readonly name?: string;
  readonly persistentVolumeClaim?: { readonly claimName: string };
}

export interface PodContainer {
  readonly name: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly envFrom?: readonly object[];
  /** `Always` makes an init container a sidecar. */
  readonly restartPolicy?: string;
  readonly resources?: { readonly requests?: Quantities; readonly limits?: Quantities };
}

/** Amounts by resource: `{ "nvidia.com/gpu": "8", cpu: "500m" }`. */
export type Quantities = Readonly<Record<string, string>>;

export interface ContainerStatus {
  readonly name: string;
  /** The container runs, and its startup probe has passed if it has one. */
  readonly started?: boolean;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: { readonly startedAt?: string };
    readonly terminated?: Terminated;
  };
  readonly lastState?: { readonly terminated?: Terminated };
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
    readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  };
  readonly status?: {
    readonly allocatable?: Quantities;
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly Condition[];
    /** Listed by the kubelet from before the mount until after the unmount. */
    readonly volumesInUse?: readonly string[];
    /** Listed by the attach/detach controller. */
    readonly volumesAttached?: readonly { readonly name: string }[];
  };
}

/** Returns the names of the claims that a pod mounts. */
export function listClaimNames({ spec }: { readonly spec: Pick<Pod["spec"], "volumes"> }): string[] {
  return (spec.volumes ?? []).flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);
}

/** Prefix of a pod's volumes that belong to the operator. */
export const SHARED = "shared-";

/** Returns the names of the claims of a pod that are disks of its run, in the order of its mounts. */
export function listDiskNames({ spec }: { readonly spec: Pick<Pod["spec"], "volumes"> }): string[] {
  const disks = (spec.volumes ?? []).filter(({ name = "" }) => !name.startsWith(SHARED));
  return listClaimNames({ spec: { volumes: disks } });
}

export function findCondition(
  { status }: { readonly status?: { readonly conditions?: readonly Condition[] } },
  type: string,
): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

export function holds(
  object: { readonly status?: { readonly conditions?: readonly Condition[] } },
  type: string,
): boolean {
  return findCondition(object, type)?.status === "True";
}
