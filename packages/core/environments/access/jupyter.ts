import type { Observation } from "../../ports/compute.ts";
import { Conflict } from "../../problem.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { claimLabel } from "../record/address-label.ts";
import { closeActions, hasOpenAction } from "../record/changes/actions.ts";
import { jupyterLabel } from "../record/jupyter-label.ts";
import type { Environment } from "../record/record.ts";
import { changed, waited } from "../record/step-result.ts";
import { addEntry, shorten } from "../record/timeline.ts";

const JUPYTER_ACTIONS = ["enable_jupyter", "disable_jupyter"] as const;

/** Records that Jupyter is on or off once the run reports it. If a gateway serves it, claims a host label first. */
export async function settleJupyter(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { access } = environment;
  const isJupyterWanted = JUPYTER_ACTIONS.some((kind) => hasOpenAction(environment, kind));
  if (!access.jupyter) {
    if (observed.jupyter) return isJupyterWanted ? waited(environment, now, "waits for Jupyter to end") : undefined;
    return isJupyterWanted
      ? changed(closeActions(environment, JUPYTER_ACTIONS, now), now, "Jupyter is off")
      : undefined;
  }
  if (observed.jupyter?.state === "failed") return giveUp(environment, observed.jupyter.reason, now);
  const origin = observed.jupyter?.origin ?? null;
  if (observed.jupyter?.state !== "on" || origin === null) {
    return access.jupyter.origin === null ? waited(environment, now, "waits for Jupyter") : undefined;
  }
  const lacksHost = ctx.settings.userAccess === "gateway" && environment.addressLabel === null;
  if (access.jupyter.origin === origin && !isJupyterWanted && !lacksHost) return undefined;
  const addressLabel = await claimHost(ctx, environment);
  if (addressLabel === "taken") return giveUp(environment, "The host name of Jupyter is taken", now);
  const on = { ...environment, addressLabel, access: { ...access, jupyter: { ...access.jupyter, origin } } };
  return changed(closeActions(on, JUPYTER_ACTIONS, now), now, "Jupyter is on");
}

/** Claims the host label of Jupyter if a gateway serves it. Returns the new label of the environment, or `taken`. */
async function claimHost(ctx: WorkerContext, environment: Environment): Promise<string | null> {
  const { uid, addressLabel, pk, sk } = environment;
  const label = jupyterLabel(ctx, environment);
  if (ctx.settings.userAccess !== "gateway" || (addressLabel ?? label) !== label) return addressLabel;
  try {
    await claimLabel(ctx, label, uid, { pk, sk });
    return label;
  } catch (error) {
    if (error instanceof Conflict) return "taken";
    throw error;
  }
}

function giveUp(environment: Environment, words: string | null, now: number): Step<Environment> {
  const { access } = environment;
  const reason = words ?? "Jupyter could not be started";
  const isJupyterWanted = JUPYTER_ACTIONS.some((kind) => hasOpenAction(environment, kind));
  const jupyterFault = shorten(reason) ?? undefined;
  const off = { ...environment, access: { ...access, jupyter: null, jupyterFault, revision: access.revision + 1 } };
  const closed = closeActions(off, JUPYTER_ACTIONS, now, reason);
  return changed(isJupyterWanted ? closed : addEntry(closed, now, reason), now, "gave Jupyter up");
}
