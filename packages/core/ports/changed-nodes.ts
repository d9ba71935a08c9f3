/** Names of nodes of which a listing may differ from earlier ones. `all`: any may differ, and some may be new or gone. */
export type ChangedNodes = ReadonlySet<string> | "all";

/** A list of all nodes costs less than a read of more nodes, one by one. */
const MOST_NAMED = 20;

export function mergeChangedNodes(before: ChangedNodes | undefined, more: ChangedNodes): ChangedNodes {
  if (before === "all" || more === "all") return "all";
  const names = new Set([...(before ?? []), ...more]);
  return names.size > MOST_NAMED ? "all" : names;
}
