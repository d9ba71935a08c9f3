import { Problem } from "#core/problem.ts";

/**
 * Open connections of one user, over all keys and workspaces. On AWS each occupies a function while its command runs,
 * and all users share 200 of these (stacks/compute/sockets.ts).
 */
export const MOST_CONNECTIONS = 32;

export function refuseConnection(open: number): void {
  if (open < MOST_CONNECTIONS) return;
  throw new Problem("quota", `You have ${open} shells open, at most ${MOST_CONNECTIONS} may be: close one first`);
}
