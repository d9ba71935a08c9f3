import type { Context } from "#core/context.ts";
import { readWatch } from "#core/reconciler/watcher-lease.ts";
import type { FunctionEntry } from "../../../stacks/compute/functions-file.ts";
import { smallJob, submitJob } from "../../fixtures/catalog-requests.ts";
import type { AuditPlace } from "../audit-place.ts";
import type { Case, Left } from "./case.ts";
import { openCaseWorld } from "./case-world.ts";

/** Calls the schedule while a waiting and a running job are overdue. */
export function scheduleCases(place: AuditPlace, entry: FunctionEntry): Case[] {
  if (entry.name === SNAPSHOT_TAGS) return [backupWithoutTags(place, entry)];
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
      problems: entry.name === WATCH ? unlessWatched : () => [],
      // The schedule reports a volume that no record has.
      mayLog: ["orphans"],
    },
  ];
}

const WATCH = "schedules/watch";
const SNAPSHOT_TAGS = "schedules/snapshot-tags";

/** EC2 lists no snapshot, as if a user had removed all tags. */
function backupWithoutTags(place: AuditPlace, entry: FunctionEntry): Case {
  return {
    name: "a backup has lost its tags",
    entry,
    async arrange() {
      const { world, key, scene } = await openCaseWorld(place);
      const id = await submitJob(world, key, { ...smallJob, disk_name: "data" });
      await world.advance(60_000);
      await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
      await world.advance(3_600_000);
      return scene([{}]);
    },
    problems: () => [],
    mayLog: ["snapshot tags wrong"],
  };
}

/** Checks that the watch ran to its end and stored its resource version. */
async function unlessWatched(_: unknown, { table }: Left): Promise<string[]> {
  const watch = await readWatch({ table } as Context<"table">);
  return watch?.holder === null && watch.version !== null ? [] : [`left the watch as ${JSON.stringify(watch)}`];
}
