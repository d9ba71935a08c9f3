import type { Context } from "../../context.ts";
import type { Share } from "../../ports/compute.ts";
import type { NodeGroup, Settings } from "../../settings.ts";

export function findGroup(
  { settings }: { readonly settings: Pick<Settings, "nodeGroups"> },
  type: string,
): NodeGroup | undefined {
  return settings.nodeGroups.find(({ pool }) => pool === type);
}

/** Returns the zone for the volumes of a run on a machine still to be created, or null if it is unknown. */
export function zoneOfNewMachine(ctx: Pick<Context, "settings">, type: string): string | null {
  return findGroup(ctx, type)?.zones[0] ?? null;
}

const BIND_MS = 60_000;

/**
 * Returns how long a run may stay unbound before its grant is withdrawn: a minute, or twice the start-up time of a
 * machine that must be created first.
 */
export function longestToBindMs(ctx: Pick<Context, "settings">, type: string, shares: readonly Share[]): number {
  const startupMs = shares.some(({ node }) => node === null) ? (findGroup(ctx, type)?.startupMs ?? 0) : 0;
  return Math.max(BIND_MS, 2 * startupMs);
}
