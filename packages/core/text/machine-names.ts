/** Returns the names as text. Of more than two, only the first two, because a reason has at most 120 characters. */
export function listMachineNames(names: readonly string[]): string {
  const others = names.length - 2;
  return others > 0 ? `${names.slice(0, 2).join(", ")} and ${others} more` : names.join(", ");
}

/** Returns ` of node group p5-a`, or nothing if no group is known. */
export function groupsText(groups: readonly string[]): string {
  if (groups.length === 0) return "";
  return ` of node ${groups.length > 1 ? "groups" : "group"} ${groups.join(" and ")}`;
}
