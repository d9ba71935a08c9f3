import { useSyncExternalStore } from "react";
import { serverNow } from "../data/client.ts";
import { formatTime, timeSpan } from "../data/words.ts";

/** Listeners for texts that change by the second, and for those that change by the minute. */
const [everySecond, everyTenSeconds] = [newListeners(), newListeners()];

/** A longer time without a tick means that the page was hidden, or that the computer slept. */
const longestTickMs = 5000;
let ticks = 0;
let tickedAt = Date.now();
let resumedAt = tickedAt;

setInterval(() => {
  if (document.visibilityState !== "visible") return;
  const before = resumedAt;
  resumedAt = lastResumedAt();
  tickedAt = Date.now();
  ticks += 1;
  everySecond.notify();
  if (ticks % 10 === 0 || resumedAt !== before) everyTenSeconds.notify();
}, 1000);

/** Returns when this page was last shown, or its computer last woke, in ms of this browser's clock. */
export function lastResumedAt(): number {
  return Date.now() - tickedAt > longestTickMs ? Date.now() : resumedAt;
}

function newListeners() {
  const listeners = new Set<() => void>();
  return {
    subscribe(listener: () => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    notify(): void {
      for (const listener of listeners) listener();
    },
  };
}

/** Draws the caller again when the text changes with time. */
export function useTimed<Text extends string | boolean>(text: () => Text, { subscribe } = everySecond): Text {
  return useSyncExternalStore(subscribe, text);
}

/** Below this, a text may change to seconds before the next notice of `everyTenSeconds`. */
const farMs = 2 * 60_000;

/** How long until a time, with the time itself in local words. */
export function Until({ time }: { readonly time: string }) {
  const at = Date.parse(time);
  const text = useTimed(() => timeSpan(at - serverNow()), at - serverNow() > farMs ? everyTenSeconds : everySecond);
  return (
    <time className="time-left" dateTime={time} title={formatTime(time)}>
      {text}
    </time>
  );
}

export function At({ time }: { readonly time: string }) {
  return <time dateTime={time}>{formatTime(time)}</time>;
}

/** Reports whether a time is in the past, and draws again once it is. */
export function usePassed(time: string): boolean {
  return useTimed(() => Date.parse(time) <= serverNow());
}
