import type { Observation } from "../../ports/compute.ts";
import type { Step, WorkerContext } from "../../worker.ts";
import { awaitAccess, stepAccess } from "../access/access.ts";
import { wantJupyter } from "../record/access.ts";
import type { Environment } from "../record/record.ts";
import { changed } from "../record/step-result.ts";
import { endRun } from "./end-run.ts";

/**
 * A port that Jupyter serves answers only once the run was told of it: its access cannot wait until it is ready. Where
 * nothing stands in for a Jupyter that cannot run, the port never answers. Each run tries it, whatever an earlier one saw.
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

/**
 * Whoever reads that it is active goes in: its keys are there before that. GitHub is asked once; who has to be asked
 * for again comes later.
 */
export async function giveAccess(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { guests, keyed } = environment.access;
  const isAwaited = guests.some(({ state, tries }) => state === "fetched" || (state === "wanted" && tries === 0));
  const isUnapplied = keyed && environment.access.applied?.run !== environment.run.n;
  return isAwaited || isUnapplied ? awaitAccess(ctx, environment, observed, now) : undefined;
}
