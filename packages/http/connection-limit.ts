import { Problem } from "#core/problem.ts";

/**
 * Of one user, whatever the keys and the workspaces. On AWS each keeps a function while its command runs, of 200 for all
 * users together (stacks/sockets.ts).
 */
export const MOST_CONNECTIONS = 32;

/** Throws a Problem in words where a user who has so many WebSockets open may not open another. */
export function refuseConnection(open: number): void {
  if (open < MOST_CONNECTIONS) return;
  throw new Problem("quota", `You have ${open} shells open, at most ${MOST_CONNECTIONS} may be: close one first`);
}
