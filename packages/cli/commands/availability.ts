import type { GpuCapacity } from "../../sdk/berth.ts";
import { connect } from "../connect.ts";
import { table } from "../layout.ts";
import { out, outJson, outputColumns, say } from "../terminal.ts";

/** Prints how many GPUs of each type are free. */
export async function availability({ json }: { readonly json: boolean }): Promise<void> {
  const found = await (await connect()).availability();
  if (json) return outJson(found);
  const rows = Object.values(found.availability)
    .filter(isObtainable)
    .map(({ gpu_type, total, available, in_use, queued, max_per_node }) => {
      // A machine without GPUs counts none, and 0 of 0 would read as none free.
      if (max_per_node === 0) return [gpu_type, "-", "-", "-", "-", "no GPUs"];
      return [gpu_type, ...[available, total, in_use, queued, max_per_node].map((number) => String(number))];
    });
  if (rows.length === 0) return say("This deployment has no machines.");
  out(table([["TYPE", "FREE", "TOTAL", "IN USE", "QUEUED", "PER MACHINE"], ...rows], outputColumns()));
}

/** Types without machines are shown if machines of them can be made. */
function isObtainable({ total, max_per_node, scalable = 0 }: GpuCapacity & { readonly scalable?: number }): boolean {
  return total > 0 || max_per_node === 0 || scalable > 0;
}
