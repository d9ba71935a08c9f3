import type { Connection } from "ssh2";
import { boundTogether, type HeldBytes } from "./ssh-output.ts";

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
  /** Counts the bytes that a connection to the environment holds. */
  readonly boundBytes: (held: HeldBytes) => void;
  close(): void;
}

/** The default of MaxSessions in sshd_config(5). */
const MOST_SESSIONS = 10;
/** A browser behind a forward opens dozens of connections. */
const MOST_FORWARDS = 128;
/** ssh2 holds at most 4 MiB of input for each session and forward, so 32 that a run does not read are still admitted. */
const OF_RUN = { connections: 256, sessions: 128, forwards: 512, heldBytes: 128 * 1024 * 1024 };

export function sshBounds(): (run: string) => SshBounds {
  const runs = new Map<string, SessionSlots & Omit<SshBounds, "close">>();
  return (run) => {
    const ofRun = runs.get(run) ?? {
      ...countPlaces(OF_RUN.connections, "This environment has too many SSH connections"),
      sessions: countPlaces(OF_RUN.sessions, `This environment has ${OF_RUN.sessions} SSH sessions already`),
      forwards: countPlaces(OF_RUN.forwards, `This environment has ${OF_RUN.forwards} SSH forwards already`),
      boundBytes: boundTogether(OF_RUN.heldBytes),
    };
    const leave = ofRun.take();
    runs.set(run, ofRun);
    return {
      sessions: countPlaces(MOST_SESSIONS, `This connection has ${MOST_SESSIONS} sessions already`, ofRun.sessions),
      forwards: countPlaces(MOST_FORWARDS, `This connection has ${MOST_FORWARDS} forwards already`, ofRun.forwards),
      boundBytes: ofRun.boundBytes,
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

/** Owners of ended environments, who only read why they ended. */
export const MOST_VISITORS = 50;
