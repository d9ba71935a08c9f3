import type { Context } from "../../context.ts";
import type { Share } from "../../ports/compute.ts";
import type { NodeGroup, Settings } from "../../settings.ts";

/** What makes machines for this pool; undefined: nothing does. */
export function groupOf(
  { settings }: { readonly settings: Pick<Settings, "nodeGroups"> },
  type: string,
): NodeGroup | undefined {
  return settings.nodeGroups.find(({ pool }) => pool === type);
}

/** The zone for the volumes of a run on a machine still to be made; null: nobody knows where it will be. */
export function zoneOfNewMachine(ctx: Pick<Context, "settings">, type: string): string | null {
  return groupOf(ctx, type)?.zones[0] ?? null;
}

const BIND_MS = 60_000;

/**
 * How long a run may go without being bound until its grant is withdrawn: a minute, or twice what a machine that has
 * still to be made takes.
 */
export function longestToBindMs(ctx: Pick<Context, "settings">, type: string, shares: readonly Share[]): number {
  const startupMs = shares.some(({ node }) => node === null) ? (groupOf(ctx, type)?.startupMs ?? 0) : 0;
  return Math.max(BIND_MS, 2 * startupMs);
}
