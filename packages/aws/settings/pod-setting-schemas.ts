import { machineResources, podCapabilities, podNetworkAllow, podPatch, sharedClaims } from "./pod-setting-forms.ts";
import { settingSchemas } from "./setting-schemas.ts";

/** The large schemas of settings of pods, explained in .env.example. Only workers need them, and code delays an init. */
const podSettingSchemas = {
  MACHINE_RESOURCES: machineResources,
  POD_CAPABILITIES: podCapabilities,
  POD_NETWORK_ALLOW: podNetworkAllow,
  SHARED_CLAIMS: sharedClaims,
  POD_PATCH: () => podPatch().optional(),
};

/** Schemas of all settings. */
export const allSettingSchemas = { ...settingSchemas, ...podSettingSchemas };
