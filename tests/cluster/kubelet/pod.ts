import { join } from "node:path";
import type { KubeObject } from "../client.ts";

/** Directory of a pod's files on this machine. It is short, because paths of sockets have 107 bytes at most (unix(7)). */
export function podFolder(home: string, { metadata }: Pod): string {
  return join(home, metadata.uid.slice(0, 18));
}

/** Fields of a pod that the pretend kubelet reads. */
export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly activeDeadlineSeconds?: number;
    readonly terminationGracePeriodSeconds?: number;
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
    readonly volumes?: readonly {
      readonly name: string;
      readonly persistentVolumeClaim?: { readonly claimName: string };
      readonly emptyDir?: { readonly medium?: string };
    }[];
  };
  readonly status: {
    readonly phase: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
    readonly reason?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly { readonly secretRef?: { readonly name: string } }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly terminationMessagePath?: string;
  readonly startupProbe?: { readonly exec?: { readonly command: readonly string[] } };
  /** `Always` on an init container makes it a sidecar. */
  readonly restartPolicy?: "Always";
  readonly resources?: { readonly requests?: Readonly<Record<string, string>> };
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}

export type ContainerState =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | {
      readonly terminated: {
        readonly exitCode: number;
        readonly reason: string;
        readonly message?: string;
        readonly startedAt: string | null;
        readonly finishedAt: string | null;
      };
    };

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly state: Partial<Record<"waiting" | "running" | "terminated", object>>;
}

export const podPath = ({ metadata }: Pod): string => `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
