import { connect } from "../connect.ts";
import { table } from "../layout.ts";
import { out, outJson, outputColumns } from "../terminal.ts";

/** Prints how many GPUs of each type are free. */
export async function availability({ json }: { readonly json: boolean }): Promise<void> {
  const found = await (await connect()).availability();
  if (json) return outJson(found);
  const rows = Object.values(found.availability).map(({ gpu_type, total, available, in_use, queued, max_per_node }) => {
    return [gpu_type, ...[available, total, in_use, queued, max_per_node].map((number) => String(number))];
  });
  out(table([["TYPE", "FREE", "TOTAL", "IN USE", "QUEUED", "PER MACHINE"], ...rows], outputColumns()));
}
