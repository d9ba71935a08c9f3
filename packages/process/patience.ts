/** How long a test waits for an event, ms: only for what never comes, since a busy machine takes a second for anything. */
export const PATIENCE_MS = 60_000;
