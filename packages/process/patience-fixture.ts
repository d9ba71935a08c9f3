/**
 * How long a test waits for an event, ms: only for what never comes, since a busy machine takes seconds for anything. What
 * waits for two in a row still ends before the limit of a test, and `expect.poll` waits as long (vitest.config.ts).
 */
export const PATIENCE_MS = 120_000;
