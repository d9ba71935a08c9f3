import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { commandInside, type Inside } from "./inside.ts";
import type { LocalPort } from "./local-ports.ts";
import type { LaunchPlan } from "./plan.ts";
import { standInWords } from "./tools.ts";

export interface StandInKeeper {
  /** Starts it, if any port needs one. */
  begin(inside: Inside, ports: readonly LocalPort[]): void;
  /** Starts it no more; it ends with everything else of the run. */
  close(): void;
}

const againAfterMs = 500;

/** Keeps a stand-in running inside a run, by its launcher, for the ports that nothing of the run's own serves. */
export function keepStandIn({ home, image }: LaunchPlan): StandInKeeper {
  const stop = new AbortController();

  const keep = async (inside: Inside, pairs: readonly string[]): Promise<void> => {
    while (!stop.signal.aborted) {
      const words = [...standInWords(home, inside.isolation), image, ...pairs];
      const { file, args, env, cwd } = commandInside(inside, words);
      await exitOf(spawn(file, args, { env, cwd, detached: true, stdio: "ignore" }));
      await sleep(againAfterMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  return {
    begin: (inside, ports) => {
      const pairs = ports.filter(({ standsIn }) => standsIn).map(({ port, local }) => `${port}=${local}`);
      if (pairs.length > 0) void keep(inside, pairs);
    },
    close: () => stop.abort(),
  };
}

function exitOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve()).once("error", () => resolve());
  });
}
