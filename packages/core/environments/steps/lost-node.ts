import { readGoneNodes } from "../../pools/capacity/node-gone.ts";
import type { BoundNode, NodeRef } from "../../ports/compute.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import type { Environment } from "../record/record.ts";
import type { Machine } from "../record/run/machine.ts";
import { changed, requeueAt, waitedFor } from "../record/step-result.ts";
import { addEntry } from "../record/timeline.ts";
import { endInterrupted } from "./end/end-interrupted.ts";
import { describeLoss } from "./interruption.ts";

export interface MachineCheck {
  readonly machines: readonly Machine[];
  /** A machine that is certainly gone, so that its objects are removed by force. */
  readonly lost: Machine | undefined;
  readonly waitsFor: string | null;
}

/** Silence before the provider is asked (docs/architecture/failures.md#lost-nodes). */
const SILENT_MS = { missing: 10_000, notReady: 300_000 } as const;
const NOTED_MS = { missing: SILENT_MS.missing, notReady: 60_000 } as const;
const NEXT_CHECK_MS = { missing: 10_000, notReady: 30_000 } as const;

export async function checkMachines(
  ctx: WorkerContext,
  { run: { machines: previous } }: Pick<Environment, "run">,
  bound: readonly BoundNode[],
  now: number,
): Promise<MachineCheck> {
  const gone = await readGoneNodes(
    ctx,
    bound.map(({ uid }) => uid),
    now,
  );
  const machines = bound.map((node) => withSilence(node, previous, now));
  const knownMachine = machines.find(({ uid }) => gone.has(uid));
  if (knownMachine) return { machines, lost: knownMachine, waitsFor: null };
  // Ask in parallel: one call after another could exceed the step's budget.
  const states = await Promise.all(
    machines.flatMap((machine) => (machine.silent ? [getProviderState(ctx, machine, machine.silent, now)] : [])),
  );
  const silent = machines.filter((machine) => machine.silent);
  const lost = silent[states.indexOf("gone")];
  if (lost) return { machines, lost, waitsFor: null };
  const [state] = states;
  return {
    machines,
    lost: undefined,
    waitsFor: state && state !== "gone" ? reasons[state](silent[0]?.name ?? "") : null,
  };
}

export async function stepLostMachine(
  ctx: WorkerContext,
  environment: Environment,
  bound: readonly BoundNode[],
  now: number,
): Promise<Step<Environment> | undefined> {
  const { machines, lost, waitsFor } = await checkMachines(ctx, environment, bound, now);
  if (lost)
    return endInterrupted(
      { ...environment, run: { ...environment.run, machines } },
      now,
      describeLoss(environment, lost.name),
    );
  if (waitsFor !== null) {
    const waiting = { ...environment, run: { ...environment.run, machines }, reason: waitsFor };
    const isNews =
      machines.some(({ silent }) => silent && now - silent.since >= NOTED_MS[silent.how]) && !isNoted(environment);
    return requeueAt(
      isNews ? addEntry(waiting, now, waitsFor) : waiting,
      nextMachineCheckAt(machines, now),
      "waits for its machine",
    );
  }
  if (environment.run.machines.every(({ silent }) => silent === null)) return undefined;
  const back = { ...environment, run: { ...environment.run, machines }, reason: null };
  const noted = isNoted(environment) ? addEntry(back, now, "Its machine answers again") : back;
  return changed(noted, now, "its machine is back");
}

function isNoted({ events: { timeline } }: Environment): boolean {
  return /^Its machine .* does not answer/.test(timeline.at(-1)?.reason ?? "");
}

/** Waits until a removed run's volumes are detached, by force from a lost machine. Undefined once none is attached. */
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
  // The run's objects are gone, so ask the cluster whether the machine answers.
  const bound = first ? [{ ...first, silent: await ctx.compute.findSilence(first) }] : [];
  const { machines, lost, waitsFor } = await checkMachines(ctx, environment, bound, now);
  // Name the lost machine: another worker may have detached a volume already, and the next run may use it.
  if (lost) await Promise.all(attached.map((id) => ctx.volumes.detachVolume(id, lost)));
  const waiting = { ...environment, run: { ...environment.run, machines: [...machines, ...others] } };
  return waitedFor(waiting, now, waitsFor ?? "Waits until its volumes are detached");
}

export function listMachines({ nodes }: { readonly nodes: readonly NodeRef[] }): readonly Machine[] {
  return nodes.map(({ name, uid, providerId }) => ({ name, uid, providerId, silent: null }));
}

function withSilence(
  { name, uid, providerId, silent: how }: BoundNode,
  previous: readonly Machine[],
  now: number,
): Machine {
  if (how === null) return { name, uid, providerId, silent: null };
  const knownSilent = previous.find((machine) => machine.uid === uid)?.silent;
  const since = knownSilent?.how === how ? Math.min(knownSilent.since, now) : now;
  return { name, uid, providerId, silent: { how, since } };
}

type ProviderState = "early" | "running" | "unknown";

async function getProviderState(
  ctx: WorkerContext,
  machine: Machine,
  { how, since }: NonNullable<Machine["silent"]>,
  now: number,
): Promise<ProviderState | "gone"> {
  if (now - since < SILENT_MS[how]) return "early";
  try {
    return await ctx.compute.getMachineState(machine);
  } catch (error) {
    ctx.log.warn("provider did not answer", { node: machine.name, error: String(error) });
    return "unknown";
  }
}

/** Reasons have 120 characters, with room for a node name of 50. */
const reasons = {
  early: (name) => `Its machine ${name} does not answer; waiting until it is back or certainly gone`,
  running: (name) => `Its machine ${name} does not answer; waiting until EC2 says that it is gone`,
  unknown: (name) => `Its machine ${name} does not answer; waiting for it or the operator's word`,
} satisfies Record<ProviderState, (name: string) => string>;

export function nextMachineCheckAt(machines: readonly Machine[], now: number): number {
  const pauses = machines.flatMap(({ silent }) => (silent ? [getPause(silent, now)] : []));
  return now + Math.min(...pauses);
}

function getPause({ how, since }: NonNullable<Machine["silent"]>, now: number): number {
  const left = since + SILENT_MS[how] - now;
  return left > 0 ? Math.min(left, NEXT_CHECK_MS[how]) : NEXT_CHECK_MS.notReady;
}
