import type { Duplex, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "#core/ports/log.ts";
import { RunGone } from "#core/problem.ts";
import type { RunEntry } from "#kubernetes/access/run-entry.ts";
import { toolsDirectory } from "#kubernetes/access/tools.ts";
import type { PodSession } from "#kubernetes/exec/pod-session.ts";
import { nameOfRun, type RunId } from "#kubernetes/names.ts";
import { type Tunnel, tunnel } from "./tunnel.ts";
import type { TunnelServer } from "./tunnel-server.ts";

interface TunnelOptions {
  readonly invite: TunnelServer["invite"];
  /** Host and port of this replica, as pods reach it. */
  readonly address: string;
  readonly log: Log;
}

/** How long a user waits for a tunnel before the API server carries the bytes. */
const WAIT_MS = 2_000;
const CONNECT_WITHIN_MS = 15_000;
const READY_WITHIN_MS = 5_000;
const END_WITHIN_MS = 5_000;
/** A pod without tools, or a network that lets no pod connect, costs one exec in this time. */
const RETRY_MS = 300_000;

/**
 * Opens one tunnel per run and enters the run through it. Falls back to the API server without a tunnel. Sessions of a
 * tunnel survive a restart of the API server.
 */
export function tunnelEntry(runs: RunEntry, { invite, address, log }: TunnelOptions): RunEntry {
  const tunnels = new Map<string, Promise<Tunnel | undefined>>();
  const openTunnel = async (id: RunId, name: string): Promise<Tunnel | undefined> => {
    try {
      const opened = tunnel(await connect(runs, id, { invite, address }));
      await awaitReady(opened);
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
  const findTunnel = async (id: RunId): Promise<Tunnel | undefined> => {
    const name = nameOfRun(id);
    const opening = tunnels.get(name) ?? openTunnel(id, name);
    tunnels.set(name, opening);
    const found = await Promise.race([opening, sleep(WAIT_MS, undefined, { ref: false })]);
    return found?.isEnded() ? undefined : found;
  };
  return {
    open: async (id, request) => {
      const found = await findTunnel(id);
      return found ? found.open(request) : runs.open(id, request);
    },
    dial: async (id, port) => {
      const found = await findTunnel(id);
      return found ? found.dial(port) : runs.dial(id, port);
    },
  };
}

/** Rejects, and closes the tunnel, if its other side does not speak the protocol in time. */
async function awaitReady({ ready, close }: Tunnel): Promise<void> {
  const timeout = setTimeout(close, READY_WITHIN_MS);
  await ready.finally(() => clearTimeout(timeout));
}

/** Starts the program in the pod and returns its connection. */
async function connect(
  runs: RunEntry,
  id: RunId,
  { invite, address }: Pick<TunnelOptions, "invite" | "address">,
): Promise<Duplex> {
  const timeout = new AbortController();
  const session = await runs.open(id, { words: [`${toolsDirectory}/tunnel`, address], env: {} });
  const invitation = invite();
  const failed = rejectOnFailure(session);
  const silent = sleep(CONNECT_WITHIN_MS, undefined, { ref: false, signal: timeout.signal }).then(() => {
    throw new Error("No connection came");
  });
  try {
    session.input.write(invitation.line);
    const connected = readStart(session.output, FINGERPRINT_LENGTH).then(invitation.accept);
    const connection = await Promise.race([connected, failed, silent]);
    // The user of a pod may replace the program by one that goes on.
    setTimeout(() => void session.close(), END_WITHIN_MS).unref();
    return connection;
  } catch (error) {
    invitation.cancel();
    void session.close();
    throw error;
  } finally {
    timeout.abort();
    for (const promise of [failed, silent]) promise.catch(() => undefined);
  }
}

/** Rejects with the error output of the program if its exit code is not 0. Code 0 means that it is connected. */
async function rejectOnFailure({ errors, ended }: PodSession): Promise<never> {
  const [exitCode, words] = await Promise.all([ended, readStart(errors, MOST_ERROR_LENGTH)]);
  if (exitCode !== 0) throw new Error(words.trim() || `exit code ${exitCode}`);
  return new Promise(() => undefined);
}

const MOST_ERROR_LENGTH = 200;
/** A SHA-256 in hex. */
const FINGERPRINT_LENGTH = 64;

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
