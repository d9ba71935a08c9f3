import type { Duplex, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "#core/ports/log.ts";
import { RunGone } from "#core/problem.ts";
import type { RunEntry } from "#kubernetes/access/run-entry.ts";
import { toolsDirectory } from "#kubernetes/access/tools.ts";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { nameOfRun, type RunId } from "#kubernetes/names.ts";
import { type Tunnel, tunnel } from "./tunnel.ts";
import type { Invitation, TunnelServer } from "./tunnel-server.ts";

interface TunnelOptions {
  readonly invite: TunnelServer["invite"];
  /** Host and port of this replica, as pods reach it. */
  readonly address: string;
  readonly log: Log;
}

/** How long a user waits for a tunnel before the API server carries the bytes. */
const WAIT_MS = 2_000;
const CONNECT_WITHIN_MS = 15_000;
const END_WITHIN_MS = 5_000;
/** A pod without tools, or a network that lets no pod connect, costs one exec in this time. */
const RETRY_MS = 300_000;

/**
 * Enters a run by one connection that its pod makes to this replica, and by the API server where no such connection
 * comes. So the API server carries no bytes of sessions, and a session outlives its restart.
 */
export function tunnelEntry(runs: RunEntry, { invite, address, log }: TunnelOptions): RunEntry {
  const tunnels = new Map<string, Promise<Tunnel | undefined>>();
  const begin = async (id: RunId, name: string): Promise<Tunnel | undefined> => {
    try {
      const opened = tunnel(await connect(runs, id, { invitation: invite(), address }));
      log.info("tunnel opened", { run: name });
      void opened.ended.then(() => tunnels.delete(name));
      return opened;
    } catch (error) {
      if (error instanceof RunGone) tunnels.delete(name);
      else setTimeout(() => tunnels.delete(name), RETRY_MS).unref();
      log.info("tunnel not opened", { run: name, error: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };
  const find = async (id: RunId): Promise<Tunnel | undefined> => {
    const name = nameOfRun(id);
    const opening = tunnels.get(name) ?? begin(id, name);
    tunnels.set(name, opening);
    const found = await Promise.race([opening, sleep(WAIT_MS, undefined, { ref: false })]);
    return found?.isEnded() ? undefined : found;
  };
  return {
    open: async (id, request) => {
      const found = await find(id);
      return found ? found.open(request) : runs.open(id, request);
    },
    dial: async (id, port) => {
      const found = await find(id);
      return found ? found.dial(port) : runs.dial(id, port);
    },
  };
}

interface Connection {
  readonly invitation: Invitation;
  readonly address: string;
}

/** Starts the program in the pod, which connects. The exec ends once it has. */
async function connect(runs: RunEntry, id: RunId, { invitation, address }: Connection): Promise<Duplex> {
  const late = new AbortController();
  const session = await runs.open(id, { words: [`${toolsDirectory}/tunnel`, address], env: {} });
  const refused = refusal(session);
  const silent = sleep(CONNECT_WITHIN_MS, undefined, { ref: false, signal: late.signal }).then(() => {
    throw new Error("No connection came");
  });
  try {
    session.input.write(invitation.line);
    const connected = readStart(session.output, LINE_LENGTH).then(invitation.accept);
    const connection = await Promise.race([connected, refused, silent]);
    // The user of a pod may replace the program by one that goes on.
    setTimeout(() => void session.close(), END_WITHIN_MS).unref();
    return connection;
  } catch (error) {
    invitation.cancel();
    void session.close();
    throw error;
  } finally {
    late.abort();
    for (const promise of [refused, silent]) promise.catch(() => undefined);
  }
}

/** Rejects with what the program says. It ends with 0 once it is connected. */
async function refusal({ errors, ended }: PodSession): Promise<never> {
  const [exitCode, words] = await Promise.all([ended, readStart(errors, MOST_WORDS)]);
  if (exitCode !== 0) throw new Error(words.trim() || `exit code ${exitCode}`);
  return new Promise(() => undefined);
}

const MOST_WORDS = 200;
/** A SHA-256 in hex. */
const LINE_LENGTH = 64;

/** Returns the first characters, once there are enough or the stream has ended. Discards all others. */
function readStart(stream: Readable, length: number): Promise<string> {
  return new Promise((resolve) => {
    let start = "";
    stream.on("data", (part: Buffer) => {
      if (start.length >= length) return;
      start += part.toString("latin1", 0, length);
      if (start.length >= length) resolve(start.slice(0, length));
    });
    stream.once("close", () => resolve(start));
  });
}
