import { type Config, type ConfigName, readConfigOf } from "./config.ts";
import { allSettingSchemas } from "./pod-setting-schemas.ts";

/** Settings of the pods of environments. */
export const podSettingNames = [
  "POD_CPU_LIMIT",
  "POD_GRACE_SECONDS",
  "MACHINE_RESOURCES",
  "NEW_MACHINE_RESOURCES",
  "POD_CAPABILITIES",
  "POD_USER_NAMESPACES",
  "IMAGE_PULL_SECRETS",
  "POD_PATCH",
  "POD_NETWORK_ALLOW",
  "SHARED_CLAIMS",
] as const satisfies readonly ConfigName[];

export type PodConfig = Pick<Config, (typeof podSettingNames)[number]>;

/** Returns the settings of pods as the Kubernetes driver takes them. */
export function toPodSettings(config: PodConfig) {
  return {
    cpuLimit: config.POD_CPU_LIMIT,
    graceSeconds: config.POD_GRACE_SECONDS,
    machineResources: config.MACHINE_RESOURCES,
    newMachineResources: config.NEW_MACHINE_RESOURCES,
    capabilities: config.POD_CAPABILITIES,
    userNamespaces: config.POD_USER_NAMESPACES !== "0",
    allowsSudo: config.POD_USER_NAMESPACES === "sudo",
    pullSecrets: config.IMAGE_PULL_SECRETS,
    patch: config.POD_PATCH,
    networkAllow: config.POD_NETWORK_ALLOW,
    sharedClaims: config.SHARED_CLAIMS,
  };
}

export function readPodSettings() {
  return toPodSettings(readConfigOf(allSettingSchemas, podSettingNames));
}
