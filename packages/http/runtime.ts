import type { Actor, Context, PortName, Ports } from "#core/context.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Ids } from "#core/ports/ids.ts";
import type { Log } from "#core/ports/log.ts";
import type { LiveLogs } from "#core/ports/run-log.ts";
import type { CliPackage } from "./cli-package.ts";
import type { ServedSettings } from "./dialects/settings.ts";
import type { KeyMemory } from "./keys/key-check.ts";

/** What is known about this deployment, for /health and for clients that look for it. */
export interface Deployment {
  readonly version: string;
  /** Milliseconds since the epoch: of the deployment or the start of the server, not of a cold start. */
  readonly startedAt: number;
  /** How environments are kept apart: `container`, `bubblewrap`, `none`. */
  readonly isolation: string;
  /** How environments are limited, and in what: `cgroup-v2 (memory, cpu, processes)`, `none`. */
  readonly limits: string;
  /** The AWS region. Undefined where a test does not care. */
  readonly region?: string;
  /** Where one SSH server leads into all jobs. Undefined where each job has an address of its own. */
  readonly ssh?: { readonly host: string; readonly port: number };
  /** The packed command line. By default it is an asset of the functions that serve it. */
  readonly cli?: () => CliPackage | undefined;
  /** Answers why the stores take no writes just now, undefined where they do; only where they are on this machine. */
  readonly whyNothingIsStored?: () => Promise<string | undefined>;
  /** The output of runs of this machine. Undefined where logs are read from copies alone. */
  readonly liveLogs?: LiveLogs | undefined;
  /** Whether an answer may stay open and be sent piece by piece. A function on Lambda answers in one piece. */
  readonly streams?: true;
}

/** Everything that a process hands to its endpoints, consumers and schedules. */
export interface Runtime<Uses extends PortName = PortName> {
  readonly ports: Pick<Ports, Uses>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly settings: ServedSettings;
  readonly deployment: Deployment;
  /** What every check of a key in this process remembers; each its own unless given. */
  readonly keys?: KeyMemory | undefined;
  /** Who asks where a dialect is open and no key came; only a local stack under BERTH_OPEN has one. Read at each call. */
  readonly localUser?: (() => Promise<Actor>) | undefined;
}

/** A context with what the dialects set for themselves. */
export type Served<Ctx> = Ctx & { readonly settings: ServedSettings };

/** The context of a verb that no user called: consumers, schedules, public endpoints. */
export function createContext<Uses extends PortName>(runtime: Runtime<Uses>): Served<Context<Uses>> {
  const { ports, clock, ids, log, settings } = runtime;
  return { ...ports, clock, ids, log, settings };
}
