import * as z from "zod";
import {
  machineResources,
  machineTypes,
  newMachineResources,
  nodeTypes,
  podCapabilities,
  podNetworkAllow,
  podPatch,
  prepullImages,
  sharedClaims,
} from "./pod-setting-forms.ts";
import { settingSchemas } from "./setting-schemas.ts";

/**
 * The schemas of settings of pods and machines, explained in .env.example. Few functions need them, and code delays an
 * init.
 */
const podSettingSchemas = {
  MACHINE_TYPES: () => machineTypes().default(""),
  NODE_TYPES: nodeTypes,
  POD_CPU_LIMIT: () => z.enum(["share", "none"], { error: "must be share or none" }).default("share"),
  POD_USER_NAMESPACES: () => z.enum(["0", "1", "sudo"], { error: "must be 0, 1 or sudo" }).default("0"),
  MACHINE_RESOURCES: machineResources,
  NEW_MACHINE_RESOURCES: newMachineResources,
  POD_CAPABILITIES: podCapabilities,
  POD_NETWORK_ALLOW: podNetworkAllow,
  SHARED_CLAIMS: sharedClaims,
  POD_PATCH: () => podPatch().optional(),
  PREPULL_IMAGES: () => prepullImages().default([]),
};

/** Schemas of all settings. */
export const allSettingSchemas = { ...settingSchemas, ...podSettingSchemas };
