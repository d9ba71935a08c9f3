import { findGranted, isGrantedRun } from "#core/environments/access/terminal-grants.ts";
import type { TerminalGrant } from "#core/environments/access/terminal-tickets.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { HttpError } from "#http/answers/http-error.ts";
import { hashCheck } from "#http/keys/key-check.ts";
import type { Runtime } from "#http/runtime.ts";
import { CHECKED_MS, sharedReads } from "../directory/shared-reads.ts";
import type { Closing } from "./close-codes.ts";

export interface Seen {
  /** Undefined while key and run of the grant are good. */
  readonly closing: Closing | undefined;
  /** Undefined if the key is not good any more, or another environment has the name now. */
  readonly environment: Environment | undefined;
}

/**
 * Key and run of open terminals. A replica reads each of them at most once in 5 s, for any number of terminals. Both
 * methods throw if the table is away.
 */
export interface TerminalChecks {
  look(grant: TerminalGrant): Promise<Seen>;
  /** Reads the environment anew. */
  lookAnew(grant: TerminalGrant): Promise<Seen>;
}

/** The check of a key keeps its answers for 5 s by itself. Here terminals of one key share a read that is pending. */
const SHARED_MS = 500;

export function terminalChecks(runtime: Runtime<"table">): TerminalChecks {
  const { ids, clock, settings, keys, ports, readsKeysOnly } = runtime;
  const check = hashCheck({ table: ports.table, ids, clock, settings, memory: keys, readsKeysOnly });
  const admitted = sharedReads(clock, (hash) => check(hash).then(() => true, asRefused));
  const environments = sharedReads(clock, (name) => findGranted(ports, name));
  const look = async (grant: TerminalGrant, find: typeof environments.readAnew): Promise<Seen> => {
    if (!(await admitted.read(grant.keyHash, SHARED_MS))) return { closing: "notAdmitted", environment: undefined };
    const found = await find(grant.environment);
    const closing = isGrantedRun(found, grant) ? undefined : "ended";
    return { closing, environment: found?.uid === grant.uid ? found : undefined };
  };
  return {
    look: (grant) => look(grant, (name) => environments.read(name, CHECKED_MS)),
    lookAnew: (grant) => look(grant, environments.readAnew),
  };
}

function asRefused(error: unknown): false {
  if (error instanceof HttpError) return false;
  throw error;
}
