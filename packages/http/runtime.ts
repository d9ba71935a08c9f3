import type { Actor, Context, PortName, Ports } from "#core/context.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Ids } from "#core/ports/ids.ts";
import type { Log } from "#core/ports/log.ts";
import type { LiveLogs } from "#core/ports/run-log.ts";
import type { CliPackage } from "./cli-package.ts";
import type { ServedSettings } from "./dialects/settings.ts";
import type { KeyMemory } from "./keys/key-check.ts";

/** Facts about this deployment, for /health and clients. */
export interface Deployment {
  readonly version: string;
  readonly startedAt: number;
  /** Isolation of environments: `container`, `bubblewrap`, `none`. */
  readonly isolation: string;
  /** Limits of environments and their mechanism: `cgroup-v2 (memory, cpu, processes)`, `none`. */
  readonly limits: string;
  /** The address of the web console, if it has a host of its own. Otherwise it shares that of the API. */
  readonly consoleUrl?: string;
  readonly region?: string;
  readonly ssh?: { readonly host: string; readonly port: number };
  /** The packed command line. By default it is an asset of the functions that serve it. */
  readonly cli?: () => CliPackage | undefined;
  /** Returns why local stores refuse writes, or undefined if they accept them. */
  readonly whyNothingIsStored?: () => Promise<string | undefined>;
  readonly liveLogs?: LiveLogs | undefined;
  /** Set if answers may be streamed. A function on Lambda answers in one piece. */
  readonly streams?: true;
}

export interface Runtime<Uses extends PortName = PortName> {
  readonly ports: Pick<Ports, Uses>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly settings: ServedSettings;
  readonly deployment: Deployment;
  /** Cache of all key checks in this process. Default: one per check. */
  readonly keys?: KeyMemory | undefined;
  /** Set if this process may not write keys, so it does not note their use. */
  readonly readsKeysOnly?: true | undefined;
  /** User for requests without a key. Only a local stack with BERTH_OPEN has one. Called for each request. */
  readonly localUser?: (() => Promise<Actor>) | undefined;
}

export type Served<Ctx> = Ctx & { readonly settings: ServedSettings };

export function createContext<Uses extends PortName>(runtime: Runtime<Uses>): Served<Context<Uses>> {
  const { ports, clock, ids, log, settings } = runtime;
  return { ...ports, clock, ids, log, settings };
}
