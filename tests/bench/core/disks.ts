import type { Measure, Row } from "../measure.ts";
import { inShort } from "../server/calls.ts";
import { ask, type CountedWorld, countedWorld } from "./counted-world.ts";

const diskCount = 100;
/** Disks used by waiting jobs. The list reads those jobs too. */
const inUseCount = 10;
const snapshotCount = 3;
const job = { image: "ubuntu", instance_type: "p5.48xlarge", duration_hours: 1 };

export const disks: Measure = {
  name: "disks",
  async run() {
    const counted = await countedWorld();
    await ask(counted, "POST", "/v1/disks", { disk_name: "empty" });
    const rows = [await renameRow("no snapshots", counted, "empty")];
    await useDisk(counted, "new");
    rows.push(await renameRow("its first job is ending", counted, "new"));
    await counted.world.advance(60_000);
    for (let n = 0; n < snapshotCount; n++) {
      await useDisk(counted, "used");
      await counted.world.advance(60_000);
    }
    rows.push(await renameRow(`${snapshotCount} snapshots`, counted, "used", "used-before"));
    await ask(counted, "POST", "/v1/disks/used-before/rename", { new_name: "used" });
    await useDisk(counted, "used");
    rows.push(await renameRow("its job is ending", counted, "used"));
    return [...rows, ...(await listRows())];
  },
};

/** Expects at least one write, of the directory. Each snapshot's tag is another write. */
async function renameRow(which: string, counted: CountedWorld, name: string, newName = `${name}-2`): Promise<Row> {
  const made = await counted.callsOf("POST", `/v1/disks/${name}/rename`, { new_name: newName });
  const writes = made.filter((call) => call === "table.put" || call === "volumes.tagSnapshot").length;
  const note = `${writes} writes; ${inShort(made)}`;
  return { name: `rename, ${which}: reads`, value: getReads(made), unit: "", limit: writes + 1, note };
}

async function useDisk(counted: CountedWorld, disk_name: string): Promise<void> {
  const body = { ...job, disk_name };
  const { job_id } = await ask<{ job_id: string }>(counted, "POST", "/v1/jobs/submit", body);
  await counted.world.advance(30_000);
  const { status } = await ask<{ status: string }>(counted, "GET", `/v1/jobs/${job_id}`);
  if (status !== "active") throw new Error(`The job with the disk is ${status}`);
  await ask(counted, "POST", `/v1/jobs/${job_id}/cancel`);
}

async function listRows(): Promise<Row[]> {
  const counted = await countedWorld();
  for (let n = 0; n < diskCount; n++) {
    const disk_name = `disk-${n}`;
    await ask(counted, "POST", "/v1/disks", { disk_name });
    if (n < inUseCount) await ask(counted, "POST", "/v1/jobs/submit", { ...job, disk_name });
  }
  const { total } = await ask<{ total: number }>(counted, "GET", "/v1/disks");
  if (total !== diskCount) throw new Error(`The list shows ${total} disks, not ${diskCount}`);
  const made = await counted.callsOf("GET", "/v1/disks");
  const queries = made.filter((call) => call === "table.query").length;
  const note = `${inUseCount} of them in use; ${inShort(made)}`;
  return [
    { name: `list of ${diskCount} disks: queries`, value: queries, unit: "", limit: 1 },
    { name: `list of ${diskCount} disks: all reads`, value: getReads(made), unit: "", note },
  ];
}

function getReads(made: readonly string[]): number {
  return made.filter((call) => /^table\.(get|getMany|query)$|^volumes\.(find|list)/.test(call)).length;
}
