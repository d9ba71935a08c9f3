import type { Availability, GpuCapacity } from "../../../sdk/berth.ts";
import { table, withoutEmptyColumns } from "../../terminal/layout.ts";
import { outputColumns } from "../../terminal/terminal.ts";
import { told } from "../../terminal/text.ts";
import { showView, type ViewFlags } from "../../terminal/view.ts";

/** Prints how many GPUs of each type are free. */
export function availability(flags: ViewFlags): Promise<void> {
  const emptyWords = "This deployment has no machines.";
  return showView(flags, (berth) => ({ read: () => berth.availability(), describe: describeCapacity, emptyWords }));
}

/** An older deployment names neither. */
type Capacity = GpuCapacity & { readonly closed_reason?: string | null; readonly scalable?: number };

function describeCapacity({ availability }: Availability): string {
  const rows = Object.values(availability)
    .filter(isObtainable)
    .map((capacity) => {
      const { gpu_type, total, available, in_use, queued, max_per_node } = capacity;
      // A machine without GPUs counts none, and 0 of 0 would read as none free.
      const counts = max_per_node === 0 ? ["-", "-", "-", "-", "-"] : [available, total, in_use, queued, max_per_node];
      return [gpu_type, ...counts.map((count) => told`${count}`), formatNote(capacity)];
    });
  if (rows.length === 0) return "";
  const header = ["TYPE", "FREE", "TOTAL", "IN USE", "QUEUED", "PER MACHINE", "NOTE"];
  return table(withoutEmptyColumns([header, ...rows]), outputColumns(), {
    cut: ["NOTE"],
    leaveOut: ["PER MACHINE", "TOTAL"],
    wraps: true,
  });
}

function formatNote({ max_per_node, closed_reason, scalable = 0 }: Capacity): string {
  const machines = scalable === 1 ? "1 machine" : `${scalable} machines`;
  const notes = [
    closed_reason ?? "",
    max_per_node === 0 ? "no GPUs" : "",
    scalable > 0 ? `${machines} can be made` : "",
  ];
  return notes.filter((note) => note !== "").join("; ");
}

/** Types without machines are shown if machines of them can be made. */
function isObtainable({ total, max_per_node, scalable = 0 }: Capacity): boolean {
  return total > 0 || max_per_node === 0 || scalable > 0;
}
