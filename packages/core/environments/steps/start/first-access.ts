import type { Observation } from "../../../ports/compute.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { awaitAccess, stepAccess } from "../../access/access.ts";
import { wantJupyter } from "../../record/changes/access.ts";
import type { Environment } from "../../record/record.ts";
import { changed, noLaterThan } from "../../record/step-result.ts";
import { endRun } from "../end/end-run.ts";

/**
 * Applies access before the run is ready, because a port that Jupyter serves answers only afterwards. Ends the run if
 * Jupyter fails and the port would never answer.
 */
export async function openJupyterPort(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const hasPort = environment.ports.some(({ kind }) => kind === "jupyter");
  if (!hasPort || observed.state !== "probe") return undefined;
  const isUnserved = observed.ports.some(({ kind, address }) => kind === "jupyter" && address === null);
  if (!isUnserved) return stepAccess(ctx, environment, observed, now);
  if (!environment.access.jupyter) return changed(await wantJupyter(ctx, environment), now, "wants Jupyter again");
  if (observed.jupyter?.state !== "failed") return stepAccess(ctx, environment, observed, now);
  return endRun(environment, now, observed.jupyter.reason ?? "Jupyter could not be started");
}

const JUPYTER_PATIENCE_MS = 60_000;

/** Applies access before the run is shown as active, because clients connect at once. */
export async function giveAccess(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { guests, keyed } = environment.access;
  const isAwaited = guests.some(({ state, tries }) => state === "fetched" || (state === "wanted" && tries === 0));
  const hasKeys = keyed || guests.some(({ state }) => state === "in");
  const isUnapplied = hasKeys && environment.access.applied?.run !== environment.run.n;
  if (isAwaited || isUnapplied) return awaitAccess(ctx, environment, observed, now);
  return awaitJupyter(ctx, environment, observed, now);
}

/** Waits until the Jupyter of the submit answers or has failed: the predecessor's client reads its URL only once. */
async function awaitJupyter(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { access, run, ports } = environment;
  if (!access.jupyter || access.jupyter.origin !== null) return undefined;
  // A Jupyter port has already answered, or the run would not be ready.
  if (ports.some(({ kind }) => kind === "jupyter")) return undefined;
  if (run.readyAt === undefined) return changed({ ...environment, run: { ...run, readyAt: now } }, now, "is ready");
  const until = run.readyAt + JUPYTER_PATIENCE_MS;
  if (now >= until) return undefined;
  const step = await awaitAccess(ctx, environment, observed, now);
  return step && noLaterThan(step, until);
}
