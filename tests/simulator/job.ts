import { runSchedules } from "./campaign.ts";
import type { Task } from "./jobs.ts";

// One of the processes that jobs.ts starts: it answers each range of seeds with what it found there.
process.on("message", async (task: Task) => {
  process.send?.(await runSchedules(task));
});
