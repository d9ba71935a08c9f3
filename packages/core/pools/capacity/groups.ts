import type { Share } from "../../ports/compute.ts";
import type { NodeGroup, Settings } from "../../settings.ts";
import type { MakeableLedger, PoolGroup } from "../ledger/record.ts";
import { getLearnedStartupMs } from "../ledger/startup-times.ts";

export function findGroup(
  { settings }: { readonly settings: Pick<Settings, "nodeGroups"> },
  type: string,
): NodeGroup | undefined {
  return settings.nodeGroups.find(({ pool }) => pool === type);
}

/** How many machines a pool may have. `members` is absent for a group of NODE_GROUPS. */
export interface Growth extends Omit<NodeGroup, "pool">, Pick<PoolGroup, "members" | "lacks" | "zoneLacks"> {
  /**
   * The configured start-up time, or the learned one if that is longer, but at most twice the configured one. A grant is
   * withdrawn after twice this time.
   */
  readonly longestStartupMs: number;
}

/**
 * Returns how a pool grows: by the group of NODE_GROUPS, or else the provider's. Its start-up time is that of recent
 * machines, if there are some.
 */
export function getGrowth(
  ctx: { readonly settings: Pick<Settings, "nodeGroups"> },
  makeable: Pick<MakeableLedger, "type" | "group" | "startupSeconds">,
): Growth | undefined {
  const group = findGroup(ctx, makeable.type) ?? makeable.group;
  if (!group) return undefined;
  const learnedMs = getLearnedStartupMs(makeable.startupSeconds) ?? group.startupMs;
  const longestStartupMs = Math.min(Math.max(group.startupMs, learnedMs), 2 * group.startupMs);
  return { ...group, startupMs: learnedMs, longestStartupMs };
}

const BIND_MS = 60_000;

/**
 * Returns how long a run may stay unbound before its grant is withdrawn: a minute, or twice the start-up time of a
 * machine that must be created first.
 */
export function longestToBindMs(shares: readonly Share[], startupMs: number): number {
  return shares.some(({ node }) => node === null) ? Math.max(BIND_MS, 2 * startupMs) : BIND_MS;
}
