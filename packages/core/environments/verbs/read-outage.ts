import type { Context } from "../../context.ts";
import { readClusterState } from "../../reconciler/cluster-state.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import type { Environment } from "../record/record.ts";

const QUIET_MS = 60_000;

/** Returns when (ms) the cluster stopped answering, if that was a minute ago and one of the environments is active. */
export async function readOutage(
  ctx: Context<"table">,
  environments: readonly Pick<Environment, "phase">[],
): Promise<number | undefined> {
  if (!environments.some(({ phase }) => phase === "active")) return undefined;
  const state = await unlessUnreadable(ctx, () => readClusterState(ctx));
  return state && !state.reachable && ctx.clock.now() - state.since >= QUIET_MS ? state.since : undefined;
}
