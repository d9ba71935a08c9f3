/** The zone of a machine. null: a machine that its group can still create, in any of `zones`. */
export interface Zoned {
  readonly zone: string | null;
  /** The zones in which its group creates machines. Absent: any zone. */
  readonly zones?: readonly string[] | undefined;
  /** Zones in which its group can create none now. */
  readonly lacking?: readonly string[] | undefined;
}

interface ZonedNeed {
  readonly machines: number;
  /** null for any zone. */
  readonly zone: string | null;
}

export function isInZone({ zone, zones, lacking }: Zoned, wanted: string | null): boolean {
  if (wanted === null || zone !== null) return wanted === null || zone === wanted;
  return (zones?.includes(wanted) ?? true) && !lacking?.includes(wanted);
}

/**
 * Returns the zones in which to look for the machines of a job, one by one: several machines must be in one zone,
 * because fast networks between machines (EFA) end there. They are sorted. null: all zones together.
 */
export function zonesToTry({ machines, zone }: ZonedNeed, all: Iterable<Zoned>): readonly (string | null)[] {
  if (machines === 1 || zone !== null) return [zone];
  const found = new Set<string>();
  for (const node of all) {
    if (node.zone !== null) found.add(node.zone);
    for (const name of node.zones ?? []) found.add(name);
  }
  return found.size === 0 ? [null] : [...found].sort();
}
