import { type Check, entryOf, ofType } from "./checks.ts";
import type { Resource } from "./synthesize.ts";

/** Of an account whose quota is raised as docs/deploy.md says; so many are for whatever has no bound of its own. */
const OF_AN_ACCOUNT = 1_000;
const LEFT = 300;

export const concurrencyChecks = {
  /** What runs for minutes, and what is received from queues, leaves room for requests and schedules. */
  concurrency(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    const unbounded = made.filter((resource) => {
      const entry = entryOf(resource, functions);
      return entry?.kind === "endpoint" && entry.functionUrl && !(reservedOf(resource) > 0);
    });
    const mappings = ofType(resources, "aws:lambda/eventSourceMapping:EventSourceMapping");
    const received = mappings.map(({ inputs }) => inputs.scalingConfig?.maximumConcurrency ?? OF_AN_ACCOUNT);
    const taken = [...made.map(reservedOf), ...received].reduce((sum, each) => sum + each, 0);
    return [
      ...unbounded.map(({ name }) => `${name} may take all that the account has`),
      ...(taken <= OF_AN_ACCOUNT - LEFT ? [] : [`${OF_AN_ACCOUNT - taken} calls at a time are left for all others`]),
    ];
  },
} as const satisfies Record<string, Check>;

function reservedOf({ inputs }: Resource): number {
  return Math.max(0, inputs.reservedConcurrentExecutions ?? 0);
}
