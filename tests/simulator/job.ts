import { runSchedules } from "./campaign.ts";
import type { Task } from "./jobs.ts";

// A worker process of jobs.ts. It runs ranges of seeds and returns their results.
process.on("message", async (task: Task) => {
  process.send?.(await runSchedules(task));
});
