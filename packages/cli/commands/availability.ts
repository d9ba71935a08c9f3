import type { Availability, GpuCapacity } from "../../sdk/berth.ts";
import { table } from "../layout.ts";
import { outputColumns } from "../terminal.ts";
import { showView, type ViewFlags } from "../view.ts";

/** Prints how many GPUs of each type are free. */
export function availability(flags: ViewFlags): Promise<void> {
  const emptyWords = "This deployment has no machines.";
  return showView(flags, (berth) => ({ read: () => berth.availability(), describe: describeCapacity, emptyWords }));
}

function describeCapacity({ availability }: Availability): string {
  const rows = Object.values(availability)
    .filter(isObtainable)
    .map(({ gpu_type, total, available, in_use, queued, max_per_node }) => {
      // A machine without GPUs counts none, and 0 of 0 would read as none free.
      if (max_per_node === 0) return [gpu_type, "-", "-", "-", "-", "no GPUs"];
      return [gpu_type, ...[available, total, in_use, queued, max_per_node].map((number) => String(number))];
    });
  if (rows.length === 0) return "";
  return table([["TYPE", "FREE", "TOTAL", "IN USE", "QUEUED", "PER MACHINE"], ...rows], outputColumns());
}

/** Types without machines are shown if machines of them can be made. */
function isObtainable({ total, max_per_node, scalable = 0 }: GpuCapacity & { readonly scalable?: number }): boolean {
  return total > 0 || max_per_node === 0 || scalable > 0;
}
