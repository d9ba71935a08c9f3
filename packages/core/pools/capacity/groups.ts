import type { Share } from "../../ports/compute.ts";
import type { NodeGroup, Settings } from "../../settings.ts";
import type { MakeableLedger, PoolGroup } from "../ledger/record.ts";

export function findGroup(
  { settings }: { readonly settings: Pick<Settings, "nodeGroups"> },
  type: string,
): NodeGroup | undefined {
  return settings.nodeGroups.find(({ pool }) => pool === type);
}

/** How many machines a pool may have. `members` is absent for a group of NODE_GROUPS. */
export type Growth = Omit<NodeGroup, "pool"> & Pick<PoolGroup, "members">;

/** Returns how a pool grows: by the group of NODE_GROUPS, or else the provider's. */
export function getGrowth(
  ctx: { readonly settings: Pick<Settings, "nodeGroups"> },
  { type, group }: Pick<MakeableLedger, "type" | "group">,
): Growth | undefined {
  return findGroup(ctx, type) ?? group;
}

const BIND_MS = 60_000;

/**
 * Returns how long a run may stay unbound before its grant is withdrawn: a minute, or twice the start-up time of a
 * machine that must be created first.
 */
export function longestToBindMs(shares: readonly Share[], startupMs: number): number {
  return shares.some(({ node }) => node === null) ? Math.max(BIND_MS, 2 * startupMs) : BIND_MS;
}
