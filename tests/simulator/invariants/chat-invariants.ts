import type { Environment } from "#core/environments/record/record.ts";
import type { Compute, PortRequest } from "#core/ports/compute.ts";
import type { Item, Key } from "#core/ports/table.ts";
import { chatPartition } from "#core/store/keys.ts";
import { unsealed } from "../../fakes/memory-sealer.ts";
import type { Host } from "../scheduler.ts";

/** Checks chat messages: delivered in order, one at a time, and never after they were settled. */
export interface ChatWatch {
  wroteMessage(item: Item): void;
  removed(key: Key): void;
  watching(compute: Compute): Pick<Compute, "postToPort">;
  /**
   * Wraps the compute port below the faults. A post that arrives is no longer in progress, even if its answer is lost.
   */
  arriving(compute: Compute): Pick<Compute, "postToPort">;
  /** Wraps the compute port of a host. A post is in progress from the call until it arrives. */
  calledBy(host: Host, compute: Compute): Pick<Compute, "postToPort">;
  waiting(uid: string): ReadonlyMap<number, string>;
}

/** Messages of one environment. Their texts differ, so each post identifies its message. */
interface Chat {
  readonly states: Map<number, string>;
  readonly numbers: Map<string, number>;
  /** Numbers of removed messages. A sleeping worker may still store its message under one. */
  readonly removed: Set<number>;
  latest: number;
}

const CHAT = chatPartition("");

export function chatWatch(options: {
  readonly environments: ReadonlyMap<string, Environment>;
  readonly violated: (text: string) => void;
}): ChatWatch {
  const { environments, violated } = options;
  const all = new Map<string, Chat>();
  const underWay = new Map<PortRequest, { readonly uid: string; readonly host: Host; readonly life: number }>();

  function getChat(uid: string): Chat {
    const chat = all.get(uid) ?? { states: new Map(), numbers: new Map(), removed: new Set(), latest: 0 };
    all.set(uid, chat);
    return chat;
  }

  function wroteMessage({ uid, n, state, text: sealed }: Item): void {
    const text = typeof sealed === "string" ? unsealed(sealed) : undefined;
    const { states, numbers, removed } = getChat(String(uid));
    const number = Number(n);
    const isAnew = removed.delete(number);
    if (isAnew && state !== "waiting") violated(`message ${number} was settled after it had been removed`);
    const before = isAnew ? "waiting" : states.get(number);
    if (before === undefined && number > 1 && !states.has(number - 1)) violated(`message ${number} leaves a gap`);
    if (before !== undefined && before !== "waiting") violated(`message ${number} was settled twice`);
    states.set(number, String(state));
    const earlierNumber = text === undefined ? undefined : numbers.get(text);
    if (earlierNumber !== undefined && earlierNumber !== number)
      violated(`message ${earlierNumber} was stored again as ${number}`);
    if (text !== undefined) numbers.set(text, number);
  }

  /** Checks that messages are removed only after the end of their environment. */
  function removed({ pk, sk }: Key): void {
    if (!pk.startsWith(CHAT)) return;
    const uid = pk.slice(CHAT.length);
    getChat(uid).removed.add(Number(sk));
    const environment = environments.get(uid);
    if (environment && !environment.end.outcome) violated(`message ${Number(sk)} of ${environment.id} was removed`);
  }

  function getNumber(uid: string, body: string): number {
    const { message } = JSON.parse(body) as { readonly message: string };
    return getChat(uid).numbers.get(message) ?? 0;
  }

  /** Checks at the call, because a sleeping worker may record its own post while this one is in progress. */
  function checkUndelivered(uid: string, body: string): void {
    const n = getNumber(uid, body);
    const state = getChat(uid).states.get(n);
    if (state === "waiting" || state === "dropped") return;
    violated(`message ${n} of ${environments.get(uid)?.id} was posted again after it had been delivered`);
  }

  function posted(uid: string, body: string): void {
    const chat = getChat(uid);
    const n = getNumber(uid, body);
    const id = environments.get(uid)?.id;
    if (n < chat.latest) violated(`message ${n} of ${id} was posted after message ${chat.latest}`);
    const passed = [...chat.states].filter(([otherValue, state]) => otherValue < n && state === "waiting");
    if (passed.length > 0) violated(`message ${n} of ${id} was posted before message ${passed[0]?.[0]}`);
    chat.latest = Math.max(chat.latest, n);
  }

  return {
    wroteMessage,
    removed,
    watching: (compute) => ({
      async postToPort(uid, run, request) {
        posted(uid, request.body);
        return compute.postToPort(uid, run, request);
      },
    }),
    arriving: (compute) => ({
      async postToPort(uid, run, request) {
        underWay.delete(request);
        return compute.postToPort(uid, run, request);
      },
    }),
    calledBy: (host, compute) => ({
      async postToPort(uid, run, request) {
        checkUndelivered(uid, request.body);
        // A crash drops what the host was about to do.
        const others = [...underWay.values()].filter((entry) => entry.uid === uid && entry.host.life === entry.life);
        if (others.length > 0) violated(`two messages of ${environments.get(uid)?.id} were posted at a time`);
        underWay.set(request, { uid, host, life: host.life });
        try {
          return await compute.postToPort(uid, run, request);
        } finally {
          underWay.delete(request);
        }
      },
    }),
    waiting: (uid) => {
      const { states, numbers } = getChat(uid);
      return new Map([...numbers].filter(([, n]) => states.get(n) === "waiting").map(([text, n]) => [n, text]));
    },
  };
}
