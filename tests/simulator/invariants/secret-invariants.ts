import { type Environment, isEnded } from "#core/environments/record/record.ts";
import type { MemoryTable } from "../../fakes/memory-table.ts";

/** Returns secrets of environments that exist after their end. */
export function keptSecrets(table: MemoryTable, environments: ReadonlyMap<string, Environment>): string[] {
  return table.all().flatMap(({ kind, uid }) => {
    const environment = environments.get(String(uid));
    if (!environment || !isEnded(environment) || (kind !== "spec" && kind !== "access")) return [];
    return [`${environment.id} ended and its ${kind} is kept`];
  });
}
