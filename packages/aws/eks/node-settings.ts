import { findInstanceType } from "#core/fleet.ts";
import type { NodeGroup } from "#core/settings.ts";
import { list } from "../settings/setting-forms.ts";

/** Parses NODE_GROUPS: the machines that may run. */
export function nodeGroups() {
  return list(NODE_GROUP, "node groups like p5.48xlarge=10 or p5.48xlarge=10:600:us-east-2a+us-east-2b")
    .default([])
    .transform((groups) => groups.map(getNodeGroup))
    .refine(isOfKnownTypes, "must name each known instance type at most once");
}

/** Parses NODE_TYPES: node labels that imply an instance type. */
export function nodeTypes() {
  return list(NODE_TYPE, "label selectors with instance types, like gpu.vendor/model=h100=p5.48xlarge")
    .default([])
    .transform((rules) => rules.map(getNodeType))
    .refine((rules) => rules.every(({ instanceType }) => findInstanceType(instanceType)), "must name known types");
}

const NODE_GROUP = /^[a-z0-9.-]{1,40}=\d{1,5}(:\d{1,4}(:[a-z0-9-]{1,40}(\+[a-z0-9-]{1,40})*)?)?$/;
const STARTUP_SECONDS = 300;

/** Parses `<instance type>=<most machines>[:<seconds until one is ready>[:<zone>+<zone>]]`. */
function getNodeGroup(text: string): NodeGroup {
  const [name = "", rest = ""] = text.split("=");
  const [most = "", seconds = "", zones = ""] = rest.split(":");
  const startupMs = Number(seconds || STARTUP_SECONDS) * 1000;
  const pool = findInstanceType(name)?.pool ?? "";
  return { pool, mostNodes: Number(most), startupMs, zones: zones.split("+").filter(Boolean) };
}

function isOfKnownTypes(groups: readonly NodeGroup[]): boolean {
  const pools = groups.map(({ pool }) => pool);
  return !pools.includes("") && new Set(pools).size === pools.length;
}

const NODE_TYPE = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,316}(=[A-Za-z0-9._-]{0,63})?=[a-z0-9.-]{1,40}$/;

/** Parses `<label>=<instance type>` or `<label>=<value>=<instance type>`. */
function getNodeType(text: string): { label: string; value: string | null; instanceType: string } {
  const [label = "", ...rest] = text.split("=");
  const instanceType = rest.pop() ?? "";
  return { label, value: rest[0] ?? null, instanceType };
}
