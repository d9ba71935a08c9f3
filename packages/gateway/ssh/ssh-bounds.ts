import type { Writable } from "node:stream";
import type { Connection } from "ssh2";
import { boundTogether } from "./ssh-output.ts";

export interface SessionSlots {
  take(): () => void;
  isFree(): boolean;
}

function countPlaces(most: number, full: string, within?: SessionSlots): SessionSlots {
  let taken = 0;
  return {
    take: () => {
      if (taken >= most) throw new Error(full);
      const giveBackThere = within?.take();
      taken += 1;
      let isTaken = true;
      return () => {
        if (!isTaken) return;
        isTaken = false;
        taken -= 1;
        giveBackThere?.();
      };
    },
    isFree: () => taken === 0,
  };
}

export interface SshBounds {
  readonly sessions: SessionSlots;
  readonly forwards: SessionSlots;
  /** Counts the unsent output of a connection to the environment. */
  readonly boundOutput: (socket: Writable) => void;
  close(): void;
}

/** The default of MaxSessions in sshd_config(5). */
const MOST_SESSIONS = 10;
/** A browser behind a forward opens dozens of connections. */
const MOST_FORWARDS = 128;
const OF_RUN = { connections: 256, sessions: 128, forwards: 512, unsentBytes: 64 * 1024 * 1024 };

export function sshBounds(): (run: string) => SshBounds {
  const runs = new Map<string, SessionSlots & Omit<SshBounds, "close">>();
  return (run) => {
    const ofRun = runs.get(run) ?? {
      ...countPlaces(OF_RUN.connections, "This environment has too many SSH connections"),
      sessions: countPlaces(OF_RUN.sessions, `This environment has ${OF_RUN.sessions} SSH sessions already`),
      forwards: countPlaces(OF_RUN.forwards, `This environment has ${OF_RUN.forwards} SSH forwards already`),
      boundOutput: boundTogether(OF_RUN.unsentBytes),
    };
    const leave = ofRun.take();
    runs.set(run, ofRun);
    return {
      sessions: countPlaces(MOST_SESSIONS, `This connection has ${MOST_SESSIONS} sessions already`, ofRun.sessions),
      forwards: countPlaces(MOST_FORWARDS, `This connection has ${MOST_FORWARDS} forwards already`, ofRun.forwards),
      boundOutput: ofRun.boundOutput,
      close: () => {
        leave();
        if (ofRun.isFree()) runs.delete(run);
      },
    };
  };
}

/** SSH_OPEN_CONNECT_FAILED and SSH_OPEN_RESOURCE_SHORTAGE (RFC 4254, 5.1). */
export const CONNECT_FAILED = 2;
const RESOURCE_SHORTAGE = 4;

/** ssh2's `reject` sends no reason; its private protocol object can. */
interface Internals {
  readonly _protocol: { channelOpenFail(channel: number, reason: number, words: string): void };
}

/** Refuses a channel with a reason, which OpenSSH's client shows. */
export function refuseChannel(
  connection: Connection,
  reject: () => unknown,
  words: string,
  code: number = RESOURCE_SHORTAGE,
): void {
  const { _protocol: protocol } = connection as unknown as Internals;
  const original = protocol.channelOpenFail;
  protocol.channelOpenFail = (channel) => original.call(protocol, channel, code, words);
  try {
    reject();
  } finally {
    protocol.channelOpenFail = original;
  }
}

/** Enough for clients that start at once, such as Ansible with many forks. */
export const MOST_STARTUPS = 500;

/**
 * Bounds connections without a login, from their first packet on (ssh2 sees a connection only after the client
 * speaks). Each has `withinMs` for its login; beyond `most` the oldest is dropped.
 * OpenSSH drops new connections instead (MaxStartups in sshd_config(5)), so a flood of silent ones locks out
 * everyone. Bounds by source address would not help where all clients share one, as behind a tunnel.
 * The returned function counts a connection, and returns a function to call after the login or its end.
 */
export function sshStartups(withinMs: number, most = MOST_STARTUPS): (socket: Destroyable) => () => void {
  const waiting = new Set<Destroyable>();
  return (socket) => {
    const late = setTimeout(() => socket.destroy(), withinMs);
    waiting.add(socket);
    const [oldest] = waiting;
    if (oldest && waiting.size > most) {
      waiting.delete(oldest);
      oldest.destroy();
    }
    return () => {
      clearTimeout(late);
      waiting.delete(socket);
    };
  };
}

interface Destroyable {
  destroy(): void;
}
