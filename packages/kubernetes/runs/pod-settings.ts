/** Settings of a deployment for the pods of its environments. */
export interface PodSettings {
  /** `share`: an environment gets the processors of its share, and no more. `none`: also those that are idle. */
  readonly cpuLimit?: "share" | "none" | undefined;
  /** Resources of nodes that runs of whole GPU machines get all of. Default: EFA and huge pages. */
  readonly machineResources?: readonly string[] | undefined;
  /** Capabilities of processes of root, beside the container runtime's own. */
  readonly capabilities?: readonly string[] | undefined;
  /** Whether users in a container are none of its node. */
  readonly userNamespaces?: boolean | undefined;
  /** Names of Secrets with the credentials of registries. */
  readonly pullSecrets?: readonly string[] | undefined;
  /** Time from SIGTERM to SIGKILL, as the core's settings have it. */
  readonly graceSeconds?: number | undefined;
}

/** Returns the part of a pod's spec that names the credentials of registries. */
export function pullingWith(secrets: readonly string[] = []): object {
  return secrets.length === 0 ? {} : { imagePullSecrets: secrets.map((name) => ({ name })) };
}
