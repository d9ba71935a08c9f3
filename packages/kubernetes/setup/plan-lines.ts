import { printableText } from "#core/text/printable-text.ts";
import { ApiRefused, ApiUnreachable } from "../client/api-error.ts";
import type { PlannedChange } from "./apply.ts";
import { formatObjectName } from "./manifests.ts";
import type { FieldChange } from "./object-changes.ts";

const privateGuide = "docs/deploy.md#a-private-endpoint";

/** Returns words for an error of a plan or of its application, with what to do. */
export function describeApplyError(error: unknown): string {
  if (error instanceof ApiUnreachable) {
    return (
      `The API server gave no answer (${error.message}). If it answers only in its own network, run this there, or ` +
      `through a tunnel with --kubeconfig: ${privateGuide}`
    );
  }
  if (!(error instanceof ApiRefused)) return error instanceof Error ? error.message : String(error);
  const { status } = error;
  // The server's words may repeat what it was sent. A webhook chooses them, so they stay on one line.
  const said = /\/secrets\//.test(error.message) ? "see the API server's log" : printableText(error.said);
  if (status === 401) return "The cluster does not know these credentials. On EKS, they need an access entry";
  if (status === 403) {
    return `These credentials may not do that: ${said}. On EKS, their access entry needs AmazonEKSClusterAdminPolicy`;
  }
  return `The API server refuses ${error.message}: ${said}`;
}

/** Lines of a plan for people, without the objects that stay as they are. */
export function formatPlan(changes: readonly PlannedChange[]): string[] {
  const kept = changes.filter(({ action }) => action === "keep").length;
  const lines = changes.flatMap((change) => {
    const name = formatObjectName(change.manifest);
    if (change.action === "keep") return [];
    if (change.action === "create") return [`+ ${name}`];
    if (change.action === "prune") return [`- ${name}: of a former version`];
    if (change.action === "leave") return [`! ${name} of a former version stays: ${change.why}`];
    if (change.action === "foreign") return [`! ${name} is of ${change.owner}`];
    // Values of a Secret never leave it.
    const isSecret = change.manifest.kind === "Secret";
    const taken = change.madeBy === undefined ? "" : `, which ${printableText(change.madeBy)} made`;
    return [
      `~ ${name}${taken}`,
      ...change.fields.map((each) => (isSecret ? `    ${each.field}` : formatFieldChange(each))),
    ];
  });
  return [...lines, ...(kept === 0 ? [] : [`= ${kept} ${kept === 1 ? "object is" : "objects are"} as wanted`])];
}

const longestValue = 200;

function formatFieldChange({ field, from, to }: FieldChange): string {
  const [before, after] = [from, to].map((value) => {
    if (value === undefined) return "none";
    return value.length > longestValue ? `${value.slice(0, longestValue)}…` : value;
  });
  return `    ${field}: ${before} → ${after}`;
}
