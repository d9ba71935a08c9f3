import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, type ProcessIdentity } from "../supervisor/process-identity.ts";
import { joinToMachine } from "./network.ts";

export interface JoinedNetwork {
  readonly sandbox: ProcessIdentity;
  readonly name: string;
  readonly signal: AbortSignal;
  readonly say: (isJoined: boolean) => void;
}

/** A connection that lasted this long was healthy, so the next retry is immediate. */
const healthyMs = 60_000;
const longestPauseMs = 60_000;

/** Reconnects a run's network, for example after slirp4netns was killed. Resolves when the run is over. */
export async function stayJoined({ sandbox, name, signal, say }: JoinedNetwork, joined: Promise<void>): Promise<void> {
  let lost = joined;
  let joinedAt = Number.NEGATIVE_INFINITY;
  let pauseMs = 0;
  const isOver = () => signal.aborted || !isAlive(sandbox);
  const next = async (): Promise<boolean> => {
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(Math.max(1_000, 2 * pauseMs), longestPauseMs);
    return !isOver();
  };
  for (;;) {
    await lost;
    if (isOver()) return;
    say(false);
    if (performance.now() - joinedAt > healthyMs) pauseMs = 0;
    let again: Awaited<ReturnType<typeof joinToMachine>> | undefined;
    while (!again) {
      if (!(await next())) return;
      again = await joinToMachine(String(sandbox.pid), name).catch(() => undefined);
    }
    lost = again.lost;
    joinedAt = performance.now();
    say(true);
  }
}
