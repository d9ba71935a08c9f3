import type { OtherWays } from "#http/misspelt.ts";

const follow = "Send `next` of the last answer as `after`, and `wait` to be answered once there is more.";
const schedule = "A job starts as soon as there is room for it; submit it when it is to wait.";

/** What kubectl and Docker call the ways to follow a log. */
export const otherLogWords: OtherWays = { follow, since: follow, sincetime: follow, sinceseconds: follow };

/** What Docker, dstack and SkyPilot have in a job and Berth has elsewhere. */
export const otherJobWords: OtherWays = {
  ports: "Forward a port of the job by SSH, with `-L`.",
  schedule,
  cron: schedule,
};
