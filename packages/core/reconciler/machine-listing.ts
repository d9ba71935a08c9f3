import type { Context } from "../context.ts";
import { refreshCapacity } from "../pools/capacity/capacity.ts";
import { type ChangedNodes, mergeChangedNodes } from "../ports/changed-nodes.ts";
import { pacedTask } from "./paced-task.ts";

type Ports = Context<"table" | "queue" | "compute">;

/** The most listings in a row that write only a part of the changes. The schedule writes the rest. */
const MOST_IN_PART = 3;

/**
 * Lists the machines that changed, or all, soon after a change. Lists them again if a part of the changes was not written,
 * for example because a plan wrote the item of a drained machine first.
 */
export function machineListing(ctx: Ports, signal: AbortSignal) {
  let changed: ChangedNodes | undefined;
  let inPart = 0;
  const task = pacedTask({ clock: ctx.clock, signal }, async () => {
    const nodes = changed ?? "all";
    changed = undefined;
    const listed = await listMachines(ctx, nodes);
    const repeats = listed === "part" && inPart < MOST_IN_PART - 1;
    inPart = repeats ? inPart + 1 : 0;
    if (repeats) request(nodes);
    return listed !== "none";
  });
  function request(nodes: ChangedNodes): void {
    changed = mergeChangedNodes(changed, nodes);
    task.request();
  }
  return { request, settled: task.settled };
}

/** Returns how many of the changes were written. The schedule lists all machines within a minute of a failure. */
async function listMachines(ctx: Ports, nodes: ChangedNodes): Promise<"all" | "part" | "none"> {
  try {
    return (await refreshCapacity(ctx, "watcher", nodes === "all" ? undefined : nodes)) ? "all" : "part";
  } catch (error) {
    ctx.log.warn("changed machines not listed", { error: String(error) });
    return "none";
  }
}
