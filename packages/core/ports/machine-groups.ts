/** What a provider lacks to create a machine: machines, the account's quota, addresses, or something else. */
export const lackKinds = ["machines", "quota", "addresses", "other"] as const;
export type Lack = (typeof lackKinds)[number];

/** A group that creates machines on demand, such as a managed node group of EKS. */
export interface MachineGroup {
  readonly name: string;
  readonly instanceTypes: readonly string[];
  /** Sorted. Empty if unknown. */
  readonly zones: readonly string[];
  readonly mostNodes: number;
  /** How many machines it always keeps, and how many it should have now. Only operators see them. Absent if unknown. */
  readonly leastNodes?: number | undefined;
  readonly desiredNodes?: number | undefined;
  /** False while it is being created or deleted, or has failed. */
  readonly isActive: boolean;
  /** False if its taints or labels keep runs out. */
  readonly admitsRuns: boolean;
  /**
   * Set if its autoscaler also creates machines for runs that name the group while it has none. Absent if that is not
   * known.
   */
  readonly isSelectable?: true | undefined;
  /** What it lacks to create a machine now, as its provider reports. */
  readonly lacks?: Lack | undefined;
  /** The zones where it lacks that. Absent if it lacks it in all of its zones. */
  readonly lacksIn?: readonly string[] | undefined;
  /** When its provider begins to create its machines, ms, as for a Capacity Block of AWS. Absent if it may now. */
  readonly startsAt?: number | undefined;
  /** When its provider ends its machines, ms, as for a Capacity Block of AWS. Absent if no such time is set. */
  readonly endsAt?: number | undefined;
}

/** The provider's groups that create machines for the cluster. */
export interface MachineGroups {
  /** Lists all groups by name, or returns undefined without a provider. Throws if one cannot be read. */
  list(): Promise<readonly MachineGroup[] | undefined>;
}
