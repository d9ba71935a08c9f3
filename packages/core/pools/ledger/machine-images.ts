import type { Environment } from "../../environments/record/record.ts";
import type { PlannerContext } from "../../reconciler/step.ts";
import type { Holding, NodeLedger } from "./record.ts";

/** A machine keeps large images for a while. More than these few, its disk may not hold. */
const MOST_KEPT = 8;

/** Returns the short name of an image in ledger items: 8 hex digits of its hash. Undefined if the record lacks it. */
export function getImageMark(
  { ids }: Pick<PlannerContext, "ids">,
  { about }: Pick<Environment, "about">,
): string | undefined {
  return about?.image ? ids.hash(about.image).slice(0, 8) : undefined;
}

/** Returns the machines with the images of the runs that have become active there, the latest last. */
export function noteImages(
  ctx: Pick<PlannerContext, "ids">,
  nodes: readonly NodeLedger[],
  { before, held }: { readonly before: readonly Holding[]; readonly held: readonly Holding[] },
  knownEnvironments: ReadonlyMap<string, Environment>,
): readonly NodeLedger[] {
  const earlier = new Set(before);
  const found = new Map<string, string[]>();
  for (const holding of held) {
    const { key, phase, shares } = holding;
    const record = phase === "active" && !earlier.has(holding) ? knownEnvironments.get(key) : undefined;
    const mark = record && getImageMark(ctx, record);
    if (mark === undefined) continue;
    for (const { node } of shares) if (node !== null) found.set(node, [...(found.get(node) ?? []), mark]);
  }
  if (found.size === 0) return nodes;
  return nodes.map((node) => {
    const marks = found.get(node.name);
    if (!marks) return node;
    const others = (node.images ?? []).filter((image) => !marks.includes(image));
    return { ...node, images: [...others, ...new Set(marks)].slice(-MOST_KEPT) };
  });
}
