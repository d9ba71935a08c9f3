import { createHash } from "node:crypto";
import { rolePolicies } from "../synthesis/policies.ts";
import { stageSettings as settings } from "../synthesis/stage-settings.ts";
import { type Resource, synthesize } from "../synthesis/synthesize.ts";

/** The policies of a role, as a deployment would set them. */
export interface AuditedRole {
  readonly name: string;
  readonly statements: readonly AuditedStatement[];
  /** Each once, in the order of their names. */
  readonly actions: readonly string[];
  /** Hash of its policies' texts. */
  readonly digest: string;
}

export interface AuditedStatement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

/** The resources of the stage whose roles are audited: one without a network. */
export function synthesizeAudited(): Promise<Resource[]> {
  return synthesize("audit", settings);
}

/** All roles, in the order of their names. */
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

/** Returns a digest of texts without the random ends that SST adds to names. */
function getDigest(texts: readonly string[]): string {
  const named = texts
    .toSorted()
    .join("\n")
    .replaceAll(/-[a-z]{8}(?=["./])/g, "");
  return createHash("sha256").update(named).digest("hex").slice(0, 16);
}
