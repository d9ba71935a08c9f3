import { type Interruption, isMoreCertain } from "../../pools/capacity/interruption.ts";
import { readInterruption } from "../../pools/capacity/machine-notice.ts";
import type { Observation } from "../../ports/compute.ts";
import type { WorkerContext } from "../../reconciler/step.ts";
import { durationText } from "../../text/duration-text.ts";
import type { Environment } from "../record/record.ts";
import type { RunInterruption } from "../record/run/run-state.ts";
import { addEntry } from "../record/timeline.ts";

export const INTERRUPTION_WARNING = "Interruption:";
export const INTERRUPTION_WITHDRAWN = "Interruption withdrawn:";

/**
 * Notes in the record and its timeline that a machine of the run is taken back by its provider, or that this was
 * withdrawn. A repeated or less certain notice changes nothing.
 */
export async function noteInterruption(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Environment> {
  const { run, size } = environment;
  const found = await readInterruption(ctx, size.pool, run.machines, now);
  const known = run.interruption;
  if (found === undefined || (found === null && !known)) return environment;
  if (found === null) {
    const calm = { ...environment, run: { ...run, interruption: undefined } };
    return addEntry(calm, now, `${INTERRUPTION_WITHDRAWN} it keeps its machine ${known?.node}`);
  }
  if (known && !isNews(found, known)) return environment;
  const { kind, node, endsAt } = found;
  const interruption: RunInterruption = { kind, node, endsAt };
  return addEntry({ ...environment, run: { ...run, interruption } }, now, describe(found, node, now));
}

/** A taint does not say when the machine is taken back. The time may follow, and may move. */
function isNews(found: Interruption, known: RunInterruption): boolean {
  const hasNewTime = found.kind === known.kind && found.endsAt !== undefined && found.endsAt !== known.endsAt;
  return isMoreCertain(found.kind, known.kind) || hasNewTime;
}

/** Returns the words for owners. They have 120 characters, with room for a node name of 50. */
function describe({ kind, endsAt }: Interruption, node: string, now: number): string {
  return `${INTERRUPTION_WARNING} ${words[kind](node, endsAt === undefined ? undefined : endsAt - now)}`;
}

const words = {
  rebalance: (node) => `EC2 Spot is likely to take its machine back soon: ${node}`,
  removal: (node, leftMs) =>
    leftMs === undefined
      ? `its machine is being removed from the cluster: ${node}`
      : `its provider ends its machine ${inText(leftMs)}: ${node}`,
  spot: (node, leftMs = 0) => `EC2 Spot takes its machine back ${inText(leftMs)}: ${node}`,
} satisfies Record<Interruption["kind"], (node: string, leftMs?: number) => string>;

function inText(leftMs: number): string {
  return leftMs > 0 ? `in ${durationText(leftMs)}` : "now";
}

/** Returns why the run lost its machine. */
export function describeLoss({ run: { interruption } }: Pick<Environment, "run">, node: string): string {
  if (interruption?.kind !== "spot" || interruption.node !== node) return `Its machine was lost: ${node}`;
  return `Its machine was taken back by EC2 Spot: ${node}`;
}

/**
 * Reports whether the run lost a machine, or its command was killed after a notice that it would. Of several machines,
 * the others may fail before a loss is certain, because their peer is silent.
 */
export function isInterrupted(
  environment: Pick<Environment, "run">,
  { isDisrupted, reason, exitCode, nodes }: Pick<Observation, "isDisrupted" | "reason" | "exitCode" | "nodes">,
): boolean {
  const isKilled = /^command was killed by signal SIG(TERM|KILL)$/.test(reason ?? "");
  const lacksPeer = nodes.length > 1 && exitCode !== 0 && nodes.some(({ silent }) => silent !== null);
  return isDisrupted === true || lacksPeer || (isKilled && isTakenBack(environment));
}

/** Reports whether a provider certainly takes a machine of the run back. */
export function isTakenBack({ run: { interruption } }: Pick<Environment, "run">): boolean {
  return interruption !== undefined && interruption.kind !== "rebalance";
}

/** Returns why the run is ended before its provider takes the machine back. */
export function describeLeaving({ run: { interruption } }: Pick<Environment, "run">): string {
  const taken = interruption?.kind === "spot" ? "EC2 Spot takes it back" : "its provider ends it";
  return `It left its machine before ${taken}: ${interruption?.node ?? ""}`;
}

/** Returns why the run ended without an exit code. The cluster itself may not know of EC2's notice. */
export function describeEnd({ run: { interruption } }: Pick<Environment, "run">, reason: string): string {
  const isKnown = interruption?.kind !== "spot" || /spot interruption/.test(reason);
  return isKnown ? reason : `${reason} (after a Spot interruption notice)`;
}
