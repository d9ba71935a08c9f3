import { readGoneNodes } from "../../pools/node-gone.ts";
import type { BoundNode, NodeRef } from "../../ports/compute.ts";
import type { Step, WorkerContext } from "../../worker.ts";
import type { Machine } from "../record/machine.ts";
import type { Environment } from "../record/record.ts";
import { changed, until, waitedFor } from "../record/step-result.ts";
import { endRun } from "./end-run.ts";

/** What a look at the machines of a run found. */
export interface MachineLook {
  readonly machines: readonly Machine[];
  /** Certain to be gone: what is left there goes by force. Of several machines one lost is all lost. */
  readonly lost: Machine | undefined;
  /** What is waited for until that is certain; null: all of them answer. */
  readonly waitsFor: string | null;
}

/** How long a machine is silent before its provider's word counts (docs/architecture.md#not-seen-is-not-gone). */
const SILENT_MS = { missing: 10_000, notReady: 300_000 } as const;
const NEXT_LOOK_MS = { missing: 10_000, notReady: 30_000 } as const;

/** Whether the machines of a run answer, and whether one that does not is lost. */
export async function lookAtMachines(
  ctx: WorkerContext,
  { run: { machines: before } }: Pick<Environment, "run">,
  bound: readonly BoundNode[],
  now: number,
): Promise<MachineLook> {
  const gone = await readGoneNodes(
    ctx,
    bound.map(({ uid }) => uid),
    now,
  );
  const machines = bound.map((node) => machineOf(node, before, now));
  const known = machines.find(({ uid }) => gone.has(uid));
  if (known) return { machines, lost: known, waitsFor: null };
  // All at once: one after the other could take longer than a step may.
  const words = await Promise.all(
    machines.flatMap((machine) => (machine.silent ? [wordOf(ctx, machine, machine.silent, now)] : [])),
  );
  const silent = machines.filter((machine) => machine.silent);
  const lost = silent[words.indexOf("gone")];
  if (lost) return { machines, lost, waitsFor: null };
  const [word] = words;
  return { machines, lost: undefined, waitsFor: word && word !== "gone" ? waits[word](silent[0]?.name ?? "") : null };
}

/** Waits while a machine does not answer, and ends the run once it is lost; undefined: there is nothing to wait for. */
export async function stepLostMachine(
  ctx: WorkerContext,
  environment: Environment,
  bound: readonly BoundNode[],
  now: number,
): Promise<Step<Environment> | undefined> {
  const { machines, lost, waitsFor } = await lookAtMachines(ctx, environment, bound, now);
  if (lost)
    return endRun({ ...environment, run: { ...environment.run, machines } }, now, `Its machine was lost: ${lost.name}`);
  if (waitsFor !== null) {
    return until(
      { ...environment, run: { ...environment.run, machines }, reason: waitsFor },
      nextLookAt(machines, now),
      "waits for its machine",
    );
  }
  if (environment.run.machines.every(({ silent }) => silent === null)) return undefined;
  return changed({ ...environment, run: { ...environment.run, machines }, reason: null }, now, "its machine is back");
}

/**
 * Waits until these volumes of a run that is gone are detached. Only a machine that answers does that by itself; from
 * one that is lost they are taken by force. Undefined: none of them is attached.
 */
export async function detachVolumes(
  ctx: WorkerContext,
  environment: Environment,
  ids: readonly string[],
  now: number,
): Promise<Step<Environment> | undefined> {
  const found = await Promise.all(ids.map((id) => ctx.volumes.findVolume(id)));
  const attached = found.flatMap((volume) => (volume?.attached ? [volume.id] : []));
  if (attached.length === 0) return undefined;
  const [first, ...others] = environment.run.machines;
  // Nothing of the run says any more whether its machine answers.
  const bound = first ? [{ ...first, silent: await ctx.compute.silenceOf(first) }] : [];
  const { machines, lost, waitsFor } = await lookAtMachines(ctx, environment, bound, now);
  // Named, since another worker may have taken them off meanwhile, and the next run may have them by now.
  if (lost) await Promise.all(attached.map((id) => ctx.volumes.detachVolume(id, lost)));
  const waits = { ...environment, run: { ...environment.run, machines: [...machines, ...others] } };
  return waitedFor(waits, now, waitsFor ?? "Waits until its volumes are detached");
}

/** The machines of a run, as they were last seen: they answer. */
export function machinesOf({ nodes }: { readonly nodes: readonly NodeRef[] }): readonly Machine[] {
  return nodes.map(({ name, uid, providerId }) => ({ name, uid, providerId, silent: null }));
}

function machineOf(
  { name, uid, providerId, silent: how }: BoundNode,
  before: readonly Machine[],
  now: number,
): Machine {
  if (how === null) return { name, uid, providerId, silent: null };
  const known = before.find((one) => one.uid === uid)?.silent;
  const since = known?.how === how ? Math.min(known.since, now) : now;
  return { name, uid, providerId, silent: { how, since } };
}

type Word = "early" | "running" | "unknown";

async function wordOf(
  ctx: WorkerContext,
  machine: Machine,
  { how, since }: NonNullable<Machine["silent"]>,
  now: number,
): Promise<Word | "gone"> {
  if (now - since < SILENT_MS[how]) return "early";
  try {
    return await ctx.compute.machineOf(machine);
  } catch (error) {
    ctx.log.warn("provider not asked", { node: machine.name, error: String(error) });
    return "unknown";
  }
}

/** At most 120 characters with a node's name of 50. */
const waits = {
  early: (name) => `Its machine ${name} does not answer; waiting until it is back or certainly gone`,
  running: (name) => `Its machine ${name} does not answer; waiting until EC2 says that it is gone`,
  unknown: (name) => `Its machine ${name} does not answer; waiting for it or the operator's word`,
} satisfies Record<Word, (name: string) => string>;

function nextLookAt(machines: readonly Machine[], now: number): number {
  const pauses = machines.flatMap(({ silent }) => (silent ? [pauseOf(silent, now)] : []));
  return now + Math.min(...pauses);
}

/** Once the time is over only its provider is waited for. */
function pauseOf({ how, since }: NonNullable<Machine["silent"]>, now: number): number {
  const left = since + SILENT_MS[how] - now;
  return left > 0 ? Math.min(left, NEXT_LOOK_MS[how]) : NEXT_LOOK_MS.notReady;
}
