import type { Blobs } from "./ports/blobs.ts";
import type { Clock } from "./ports/clock.ts";
import type { Compute } from "./ports/compute.ts";
import type { Fetch } from "./ports/fetch.ts";
import type { GithubKeys, Identity } from "./ports/identity.ts";
import type { Ids } from "./ports/ids.ts";
import type { Log } from "./ports/log.ts";
import type { MachineGroups } from "./ports/machine-groups.ts";
import type { Queue } from "./ports/queue.ts";
import type { Sealer } from "./ports/sealer.ts";
import type { Table } from "./ports/table.ts";
import type { Volumes } from "./ports/volumes.ts";
import type { Settings } from "./settings.ts";

/** The outside systems. An endpoint or consumer names the ones it uses. */
export interface Ports {
  readonly table: Table;
  readonly queue: Queue;
  readonly compute: Compute;
  readonly machineGroups: MachineGroups;
  readonly volumes: Volumes;
  readonly blobs: Blobs;
  readonly identity: Identity;
  readonly sealer: Sealer;
  readonly githubKeys: GithubKeys;
  readonly fetch: Fetch;
}

export type PortName = keyof Ports;

/** The context of every verb: clock, ids, log and settings, plus the ports that it uses. */
export type Context<Uses extends PortName = never> = Pick<Ports, Uses> & {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly settings: Settings;
};

export interface Actor {
  readonly uid: string;
  readonly username: string;
  /** The numeric id that login returns. */
  readonly number: number;
  readonly keyPrefix: string;
  /** SHA-256 of the presented key. */
  readonly keyHash: string;
  /** An operator. Derived from the settings at each request, never stored. */
  readonly isAdmin: boolean;
}

export type UserContext<Uses extends PortName = never> = Context<Uses> & {
  readonly actor: Actor;
  readonly dialect: string;
  /** The dialect's word for an environment in texts. */
  readonly noun: string;
};
