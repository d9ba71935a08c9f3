import type { Connection } from "ssh2";

/** How many of a kind there may be at once. */
export interface SessionSlots {
  /** Takes one, and answers what gives it back. Throws, in words for the user, where none is left. */
  take(): () => void;
  /** Whether all have been given back. */
  isFree(): boolean;
}

/** `full` is the text of the error when none is left. Taking one here also takes one of `within`. */
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

/** What one client may have open: a session is a process or two, and a forward a socket. */
export interface SshBounds {
  readonly sessions: SessionSlots;
  readonly forwards: SessionSlots;
  /** To be called once its connection is gone. */
  close(): void;
}

/** As MaxSessions of sshd_config(5). */
const MOST_SESSIONS = 10;
/** A browser that goes through a client opens dozens. */
const MOST_FORWARDS = 128;
/** The limits of one run, over all its connections. */
const OF_RUN = { connections: 256, sessions: 128, forwards: 512 };

/**
 * Returns a function that makes the bounds of a new connection into `run`, counted with the run's; it throws when that
 * is full.
 */
export function sshBounds(): (run: string) => SshBounds {
  const runs = new Map<string, SessionSlots & { readonly sessions: SessionSlots; readonly forwards: SessionSlots }>();
  return (run) => {
    const ofRun = runs.get(run) ?? {
      ...countPlaces(OF_RUN.connections, "This environment has too many SSH connections"),
      sessions: countPlaces(OF_RUN.sessions, `This environment has ${OF_RUN.sessions} SSH sessions already`),
      forwards: countPlaces(OF_RUN.forwards, `This environment has ${OF_RUN.forwards} SSH forwards already`),
    };
    const leave = ofRun.take();
    runs.set(run, ofRun);
    return {
      sessions: countPlaces(MOST_SESSIONS, `This connection has ${MOST_SESSIONS} sessions already`, ofRun.sessions),
      forwards: countPlaces(MOST_FORWARDS, `This connection has ${MOST_FORWARDS} forwards already`, ofRun.forwards),
      close: () => {
        leave();
        if (ofRun.isFree()) runs.delete(run);
      },
    };
  };
}

/** SSH_OPEN_RESOURCE_SHORTAGE of RFC 4254, 5.1. */
const RESOURCE_SHORTAGE = 4;

/** ssh2's `reject` sends no reason; its private protocol object can. */
interface Internals {
  readonly _protocol: { channelOpenFail(channel: number, reason: number, words: string): void };
}

/** Refuses a channel that a client wants to open, and says why: OpenSSH's client shows it. */
export function refuseChannel(connection: Connection, reject: () => unknown, words: string): void {
  const { _protocol: protocol } = connection as unknown as Internals;
  const original = protocol.channelOpenFail;
  protocol.channelOpenFail = (channel) => original.call(protocol, channel, RESOURCE_SHORTAGE, words);
  try {
    reject();
  } finally {
    protocol.channelOpenFail = original;
  }
}
