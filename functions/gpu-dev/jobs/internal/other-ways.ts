import type { OtherWays } from "#http/request/unknown-fields.ts";

const follow = "Send `next` of the last answer as `after`, and `wait` to be answered once there is more.";
const schedule = "A job starts as soon as there is room for it; submit it when it is to wait.";

/** The parameters of kubectl and Docker that follow a log. */
export const otherLogFields: OtherWays = { follow, since: follow, sincetime: follow, sinceseconds: follow };

/** Parameters of jobs in Docker, dstack and SkyPilot, and Berth's alternatives. */
export const otherJobFields: OtherWays = {
  ports: "Forward a port of the job by SSH, with `-L`.",
  schedule,
  cron: schedule,
};
