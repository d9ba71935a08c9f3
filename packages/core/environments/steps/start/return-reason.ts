import type { RevocationCause } from "../../../pools/plan/revocation-cause.ts";
import { MINUTE_MS } from "../../../units.ts";

/** `nodes` are those of its grant, which had `withinMs`. */
export function reasonOfReturn(
  excuse: RevocationCause | undefined,
  nodes: readonly string[],
  withinMs: number,
): string {
  return `${whatFailed(excuse, nodes, withinMs)}; waiting again`;
}

function whatFailed(excuse: RevocationCause | undefined, nodes: readonly string[], withinMs: number): string {
  const within = withinMs <= MINUTE_MS ? "a minute" : `${Math.round(withinMs / MINUTE_MS)} minutes`;
  if (!excuse) return `Nothing could start on ${nodes.join(", ") || "a new machine"} within ${within}`;
  if (excuse.why === "refused") return "The cluster does not accept this run now";
  if (excuse.why === "unseen") return `The cluster reported nothing about it within ${within}`;
  return words[excuse.why](excuse.name);
}

type Named = Exclude<RevocationCause["why"], "unseen" | "refused">;

const words = {
  full: (name) => `Other runs were put on ${name}, which has no room left`,
  unreadable: (name) => `Nothing could start on ${name}, and its other runs cannot be read`,
  gone: (name) => `Nothing could start on ${name}, which is gone`,
  notReady: (name) => `Nothing could start on ${name}, which is not ready`,
  cordoned: (name) => `Nothing could start on ${name}, which is cordoned`,
  tainted: (name) => `Nothing could start on ${name}, whose taint keeps it for other runs`,
  closed: (name) => `Nothing could start on ${name}, which accepts no new runs now`,
} satisfies Record<Named, (name: string) => string>;

export function isUsable({ why }: RevocationCause): boolean {
  return why === "full" || why === "unseen" || why === "refused";
}
