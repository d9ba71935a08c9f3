import { createHash } from "node:crypto";
import { rolePolicies } from "../synthesis/policies.ts";
import { stageSettings as settings } from "../synthesis/stage-settings.ts";
import { type Resource, synthesize } from "../synthesis/synthesize.ts";

export interface AuditedRole {
  readonly name: string;
  readonly statements: readonly AuditedStatement[];
  /** Sorted, without duplicates. */
  readonly actions: readonly string[];
  readonly digest: string;
}

export interface AuditedStatement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** Synthesizes the stage whose roles are audited. It has no network. */
export function synthesizeAudited(): Promise<Resource[]> {
  return synthesize("audit", settings);
}

export function auditedRoles(resources: readonly Resource[]): AuditedRole[] {
  const documents = new Map<string, string[]>();
  for (const { of, document } of rolePolicies(resources)) {
    documents.set(of, [...(documents.get(of) ?? []), document]);
  }
  return [...documents]
    .map(([name, texts]) => {
      const statements = texts.flatMap((text): AuditedStatement[] => JSON.parse(text).Statement);
      const actions = [...new Set(statements.flatMap(({ Action }) => Action))].toSorted();
      return { name, statements, actions, digest: getDigest(texts) };
    })
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

/** Hashes texts without the random suffixes that SST adds to names. */
function getDigest(texts: readonly string[]): string {
  const named = texts
    .toSorted()
    .join("\n")
    .replaceAll(/-[a-z]{8}(?=["./])/g, "");
  return createHash("sha256").update(named).digest("hex").slice(0, 16);
}
