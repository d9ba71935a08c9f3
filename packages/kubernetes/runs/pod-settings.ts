import type { Mount } from "#core/ports/compute.ts";
import { type Quantities, SHARED } from "../objects.ts";

/** Settings of a deployment for the pods of its environments. */
export interface PodSettings {
  /** `share`: an environment gets the processors of its share, and no more. `none`: also those that are idle. */
  readonly cpuLimit?: "share" | "none" | undefined;
  /** Resources of nodes that runs of whole GPU machines get all of. Default: EFA and huge pages. */
  readonly machineResources?: readonly string[] | undefined;
  /** Amounts of these that a machine of a type will offer, for runs that are created before their machine. */
  readonly newMachineResources?: Readonly<Record<string, Quantities>> | undefined;
  /** Capabilities of processes of root, beside the container runtime's own. */
  readonly capabilities?: readonly string[] | undefined;
  /** Whether users in a container are none of its node. */
  readonly userNamespaces?: boolean | undefined;
  /** Whether `sudo` works. Counts only with `userNamespaces`, which make root harmless for the node. */
  readonly allowsSudo?: boolean | undefined;
  /** Names of Secrets with the credentials of registries. */
  readonly pullSecrets?: readonly string[] | undefined;
  readonly patch?: PodPatch | undefined;
  /** Claims that each environment mounts. They are the operator's: Berth neither makes nor removes them. */
  readonly sharedClaims?: readonly SharedClaim[] | undefined;
  /** Networks that environments reach although deploy/kubernetes/network-policy.yaml cuts private ones. */
  readonly networkAllow?: readonly AllowedNetwork[] | undefined;
  /** Time from SIGTERM to SIGKILL, as the core's settings have it. */
  readonly graceSeconds?: number | undefined;
}

/** No ports: all of them. */
export interface AllowedNetwork {
  readonly cidr: string;
  readonly ports: readonly number[];
}

export interface SharedClaim {
  readonly name: string;
  readonly path: string;
  readonly isReadOnly: boolean;
}

/** Fields of pods that the operator adds. Berth's own labels and annotations count before them. */
export interface PodPatch {
  readonly metadata?: { readonly labels?: Texts | undefined; readonly annotations?: Texts | undefined } | undefined;
  readonly spec?:
    | {
        readonly nodeSelector?: Texts | undefined;
        readonly runtimeClassName?: string | undefined;
        readonly priorityClassName?: string | undefined;
      }
    | undefined;
}

type Texts = Readonly<Record<string, string>>;

/** Returns the part of a pod's spec that names the credentials of registries. */
export function pullingWith(secrets: readonly string[] = []): object {
  return secrets.length === 0 ? {} : { imagePullSecrets: secrets.map((name) => ({ name })) };
}

/** Returns volumes and mounts of the shared claims. A run's own volume counts before a claim at its path. */
export function mountShared(claims: readonly SharedClaim[] = [], own: readonly Mount[] = []) {
  const isApart = (path: string, other: string) =>
    !`${path}/`.startsWith(`${other}/`) && !`${other}/`.startsWith(`${path}/`);
  const free = claims.filter(({ path }) => own.every((mount) => isApart(path, mount.path)));
  return {
    volumes: free.map(({ name, isReadOnly }, at) => ({
      name: `${SHARED}${at}`,
      persistentVolumeClaim: { claimName: name, ...(isReadOnly && { readOnly: true }) },
    })),
    mounts: free.map(({ path, isReadOnly }, at) => ({
      name: `${SHARED}${at}`,
      mountPath: path,
      ...(isReadOnly && { readOnly: true }),
    })),
  };
}
