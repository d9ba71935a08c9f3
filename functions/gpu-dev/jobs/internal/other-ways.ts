import type { OtherWays } from "#http/request/unknown-fields.ts";

const follow = "Send `next` of the last answer as `after`, and `wait` to be answered once there is more.";
const schedule = "A job starts as soon as there is room for it; submit it when it is to wait.";

export const otherLogFields: OtherWays = { follow, since: follow, sincetime: follow, sinceseconds: follow };

export const otherJobFields: OtherWays = {
  ports: "Forward a port of the job by SSH, with `-L`.",
  schedule,
  cron: schedule,
};
