import type { Environment } from "./record.ts";

/** Its first run failed before it was ever active, and its policy keeps nothing of that. */
export function isCleared({ policy, run: { error: broken }, starts, times: { firstActiveAt } }: Environment): boolean {
  return policy.firstFailure === "clears" && broken !== null && starts === 0 && firstActiveAt === null;
}
