import { writeFileSync } from "node:fs";
import functionsFile from "../../functions.json" with { type: "json" };
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import { MOTO_MISSING } from "../aws/moto.ts";
import { openAuditPlace } from "./audit-place.ts";
import { auditedRoles, synthesizeAudited } from "./audited-stage.ts";
import { auditRole, type PolicyTable, type RoleRow, readPolicyTable, tableFile } from "./policy-table.ts";

/**
 * `npm run audit:policies [ROLE …]`: removes each action of each role in turn, and writes what then fails to
 * policy-audit.json. Exits with 1 if an action is needless.
 */
const only = process.argv.slice(2);
const place = await openAuditPlace();
if (!place) throw new Error(MOTO_MISSING);
try {
  const roles = auditedRoles(await synthesizeAudited());
  const before: PolicyTable = only.length > 0 ? readPolicyTable() : {};
  const table: Record<string, RoleRow> = {};
  for (const role of roles) {
    const knownRow = before[role.name];
    if (knownRow && !only.includes(role.name)) {
      table[role.name] = knownRow;
      continue;
    }
    const { row, needless } = await auditRole(place, role, functionsFile as FunctionsFile);
    table[role.name] = row;
    const failing = Object.values(row.actions).filter((each) => "fails" in each).length;
    say(`${role.name}: ${role.actions.length} actions, something fails without ${failing}`);
    for (const action of needless) say(`  nothing fails without ${action}`);
    if (needless.length > 0) process.exitCode = 1;
  }
  writeFileSync(tableFile, `${JSON.stringify(table, null, 2)}\n`);
} finally {
  await place.stop();
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
