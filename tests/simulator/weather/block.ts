import type { ComputeNode, NodeRef } from "#core/ports/compute.ts";
import type { MachineGroup } from "#core/ports/machine-groups.ts";
import type { MemoryMachineGroups } from "../../fakes/memory-machine-groups.ts";
import type { ClientAction } from "../clients/clients.ts";
import { besideBlock, crowd } from "../clients/crowd-clients.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import type { GroupState } from "./node-group.ts";

/** The node group of a Capacity Block. */
export const BLOCK = "block";
/** One machine is there from the start, and the other is created on demand. */
export const MOST_MADE = 1;

const MINUTE = 60_000;
/** Nothing starts on a block in the last ten minutes (packages/core/pools/capacity/group-ends.ts). */
export const NOTICE_MS = 10 * MINUTE;
/** Jobs want one to ten minutes, so some would outlive the block. */
const LATEST_CLOSING_MS = 10 * MINUTE;
/** A moved end may be less than the notice away. */
const LEAST_LEFT_MS = 4 * MINUTE;
const MOST_LEFT_MS = 18 * MINUTE;
const REPLACED_WITHIN_MS = 3 * MINUTE;

/** What the provider does with the block before its end. It may delete the group afterwards, or forget the end. */
type Course = "stays" | "moves" | "ends early";
const courses: readonly Course[] = ["stays", "moves", "moves", "ends early"];

/** Returns the machines of a world in which the second one is of the block. */
export function withBlock(nodes: readonly ComputeNode[]): ComputeNode[] {
  return nodes.map((node, index) => (index === 1 ? { ...node, group: BLOCK } : node));
}

/** Lists the block's end, moves it, and ends all machines of the block. A machine without an end follows. */
export function blockActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const { group, machineGroups } = world;
  if (group?.name !== BLOCK) return [];
  const start = sim.time();
  const course = sim.pick(courses);
  const planned = start + NOTICE_MS + (0.2 + 0.8 * sim.random()) * LATEST_CLOSING_MS;
  const movedAt = start + sim.random() * LATEST_CLOSING_MS;
  const moved = movedAt + LEAST_LEFT_MS + sim.random() * (MOST_LEFT_MS - LEAST_LEFT_MS);
  const endsAt = course === "moves" ? moved : planned;
  const isDeleted = sim.random() < 0.3;
  list(machineGroups, planned);
  const move = () => {
    sim.tell("provider", `moves the end of the block to ${Math.round(moved - start)} ms`);
    list(machineGroups, moved);
    world.watch.reached.note("the end of a block moved");
  };
  const end = () => {
    if (group.isOver) return;
    sim.tell("provider", "ends the machines of the block");
    void endBlock(world, group);
  };
  if (course === "ends early") endUnderRun(world, end);
  /** EC2 forgets blocks that are over, and then the group is listed without an end. */
  const forget = () => {
    sim.tell("provider", isDeleted ? "deletes the group of the block" : "forgets the end of the block");
    if (isDeleted) machineGroups.set([]);
    else list(machineGroups, undefined);
    world.watch.reached.note(isDeleted ? "the group of a block deleted" : "the end of a block forgotten");
  };
  const join = () => {
    sim.tell("provider", "h100-5 joins");
    const uid = "node-uid-h100-5";
    world.compute.setNode({ ...world.firstNode, name: "h100-5", uid, providerId: `aws:///zone-a/${uid}` });
  };
  return [
    ...crowd(sim, world, besideBlock),
    ...(course === "moves" ? [{ at: movedAt, run: move }] : []),
    { at: endsAt, run: end, isNeeded: true },
    { at: endsAt + sim.random() * MINUTE, run: forget },
    { at: endsAt + sim.random() * REPLACED_WITHIN_MS, run: join, isNeeded: true },
  ];
}

function list(machineGroups: MemoryMachineGroups, endsAt: number | undefined): void {
  const group: MachineGroup = {
    name: BLOCK,
    instanceTypes: ["p5.48xlarge"],
    zones: ["zone-a"],
    mostNodes: 1 + MOST_MADE,
    isActive: true,
    admitsRuns: true,
    ...(endsAt !== undefined && { endsAt: Math.round(endsAt) }),
  };
  machineGroups.set([group]);
}

/** Ends the block as soon as a run is active on it, long before the end that the provider lists. */
function endUnderRun({ watch, group }: SimulatedWorld, end: () => void): void {
  const isOfBlock = ({ name, uid }: NodeRef) => uid === "node-h100-2" || group?.idle.has(name) === true;
  watch.whenWritten((_, { phase, run }) => {
    if (phase !== "active" || !run.machines.some(isOfBlock)) return;
    end();
    watch.reached.note("a block that ended early");
  });
}

/** Ends all machines of the block at once. None comes any more. */
async function endBlock({ compute, watch }: SimulatedWorld, group: GroupState): Promise<void> {
  group.isOver = true;
  for (const { name, uid, group: nodeGroup } of await compute.listNodes()) {
    if (nodeGroup !== BLOCK) continue;
    if (compute.liveUnits(name) > 0) watch.reached.note("a block that ended under a run");
    compute.setMachine(uid, "gone");
    compute.removeNode(name);
  }
}
