import { ask, countedWorld } from "../core/counted-world.ts";
import type { Measure, Row } from "../measure.ts";

const job = { image: "ubuntu", instance_type: "p5.48xlarge", duration_hours: 1 };

export const calls: Measure = {
  name: "calls",
  async run() {
    const counted = await countedWorld();
    const { job_id } = await ask<{ job_id: string }>(counted, "POST", "/v1/jobs/submit", job);
    await ask(counted, "POST", "/v1/disks", { disk_name: "made-before" });
    const path = `/v1/jobs/${job_id}`;
    const input: [name: string, limit: number | undefined, method: string, path: string, body?: object][] = [
      ["submit", 5, "POST", "/v1/jobs/submit", job],
      ["get, queued", 3, "GET", path],
      ["list, queued", 4, "GET", "/v1/jobs"],
      ["extend", 4, "POST", `${path}/extend`, { extension_hours: 1 }],
      ["cancel", 4, "POST", `${path}/cancel`],
      ["availability", 2, "GET", "/v1/gpu/availability"],
      ["status", 2, "GET", "/v1/cluster/status"],
      ["submit with a disk", undefined, "POST", "/v1/jobs/submit", { ...job, disk_name: "made-before" }],
      ["submit that makes its disk", undefined, "POST", "/v1/jobs/submit", { ...job, disk_name: "new" }],
      ["rotate a key", undefined, "POST", "/v1/keys/rotate"],
    ];
    const rows: Row[] = [];
    for (const [name, limit, method, where, body] of input) {
      const made = await counted.callsOf(method, where, body);
      const row = { name: `AWS calls: ${name}`, value: made.length, unit: "", note: inShort(made) };
      rows.push(limit === undefined ? row : { ...row, limit });
    }
    return rows;
  },
};

/** Formats calls in order, with repeats counted: `table.get ×2 table.put`. */
export function inShort(made: readonly string[]): string {
  const runs: { readonly call: string; count: number }[] = [];
  for (const call of made) {
    const last = runs.at(-1);
    if (last?.call === call) last.count += 1;
    else runs.push({ call, count: 1 });
  }
  return runs.map(({ call, count }) => (count > 1 ? `${call} ×${count}` : call)).join(" ");
}
