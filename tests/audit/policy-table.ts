import { readFileSync } from "node:fs";
import type { FunctionEntry } from "../../stacks/compute/functions-file.ts";
import { findRole } from "../../stacks/compute/roles.ts";
import type { AuditPlace } from "./audit-place.ts";
import type { AuditedRole } from "./audited-stage.ts";
import { gatewayFailures } from "./gateway-role.ts";
import { reasonToKeep } from "./kept-actions.ts";
import { type Failure, type Failures, takeActionsAway } from "./take-away.ts";

export type PolicyTable = Readonly<Record<string, RoleRow>>;

export interface RoleRow {
  readonly policy: string;
  readonly actions: Readonly<Record<string, Failure | { readonly kept: string }>>;
}

export interface Audited {
  readonly row: RoleRow;
  /** Actions that no case needs and that kept-actions.ts does not list. */
  readonly needless: readonly string[];
}

/** The role that pods of the gateway take, in place of functions. */
const GATEWAY_ROLE = "Gateway";

export const tableFile = new URL("policy-audit.json", import.meta.url);

export function readPolicyTable(): PolicyTable {
  return JSON.parse(readFileSync(tableFile, "utf8"));
}

export async function auditRole(
  place: AuditPlace,
  role: AuditedRole,
  functions: readonly FunctionEntry[],
): Promise<Audited> {
  const failures = await findFailures(place, role, functions);
  const row: Record<string, Failure | { readonly kept: string }> = {};
  const needless: string[] = [];
  for (const action of role.actions) {
    const [failure, kept] = [failures[action], reasonToKeep(role.name, action)];
    if (failure) row[action] = failure;
    else if (kept !== undefined) row[action] = { kept };
    else needless.push(action);
  }
  return { row: { policy: role.digest, actions: row }, needless };
}

function findFailures(place: AuditPlace, role: AuditedRole, functions: readonly FunctionEntry[]): Promise<Failures> {
  if (role.name === GATEWAY_ROLE) return gatewayFailures(place, role);
  const ownEntries = functions.filter((entry) => findRole(entry).name === role.name);
  return takeActionsAway(place, role, ownEntries);
}
