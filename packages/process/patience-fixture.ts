/**
 * How long a test waits for an event, in ms. A busy machine takes seconds for anything, so this only bounds events that
 * never come. Two waits in a row still end before the limit of a test, and `expect.poll` waits as long
 * (vitest.config.ts).
 */
export const PATIENCE_MS = 120_000;
