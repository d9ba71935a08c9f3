import { smallJob, submitJob } from "#testing/catalog-requests.ts";
import type { FunctionEntry } from "../functions-file.ts";
import type { AuditPlace } from "./audit-place.ts";
import type { Case } from "./case.ts";
import { openCaseWorld } from "./case-world.ts";

/** Runs longer than anybody waits for it: what it does its role's other function does too. */
const WATCH = "cron/watch";

/** A run of the schedule beside a job that waits and one that runs, both overdue. */
export function scheduleCases(place: AuditPlace, entry: FunctionEntry): Case[] {
  if (entry.name === WATCH) return [];
  return [
    {
      name: "some records are overdue",
      entry,
      async arrange() {
        const { world, key, scene } = await openCaseWorld(place);
        await submitJob(world, key, { ...smallJob, disk_name: "data", webhook_url: "https://127.0.0.1:1/jobs" });
        await world.advance(60_000);
        await submitJob(world, key, smallJob);
        world.clock.advance(3_600_000);
        return { ...(await scene([{}])), volumes: world.volumes.volumeIds() };
      },
      problems: () => [],
      // A volume of which no record is left is reported.
      mayLog: ["orphans"],
    },
  ];
}
