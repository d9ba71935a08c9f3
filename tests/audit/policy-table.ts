import { readFileSync } from "node:fs";
import type { FunctionEntry } from "../../stacks/compute/functions-file.ts";
import { findRole } from "../../stacks/compute/roles.ts";
import type { AuditPlace } from "./audit-place.ts";
import type { AuditedRole } from "./audited-stage.ts";
import { reasonToKeep } from "./kept-actions.ts";
import { type Failure, takeActionsAway } from "./take-away.ts";

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

export const tableFile = new URL("policy-audit.json", import.meta.url);

export function readPolicyTable(): PolicyTable {
  return JSON.parse(readFileSync(tableFile, "utf8"));
}

export async function auditRole(
  place: AuditPlace,
  role: AuditedRole,
  functions: readonly FunctionEntry[],
): Promise<Audited> {
  const ownEntries = functions.filter((entry) => findRole(entry).name === role.name);
  const failures = await takeActionsAway(place, role, ownEntries);
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
