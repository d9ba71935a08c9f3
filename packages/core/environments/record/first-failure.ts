import type { Environment } from "./record.ts";

/** Reports whether the first run failed before it was ever active and the policy keeps nothing of it. */
export function discardsFirstFailure({
  policy,
  run: { error: broken },
  starts,
  times: { firstActiveAt },
}: Environment): boolean {
  return policy.firstFailure === "clears" && broken !== null && starts === 0 && firstActiveAt === null;
}
