import { useSyncExternalStore } from "react";
import { serverNow } from "../data/client.ts";
import { formatTime, timeUntil } from "../data/words.ts";

const listeners = new Set<() => void>();

/** A longer time without a tick means that the page was hidden, or that the computer slept. */
const longestTickMs = 5000;
let tickedAt = Date.now();
let resumedAt = tickedAt;

setInterval(() => {
  if (document.visibilityState !== "visible") return;
  resumedAt = lastResumedAt();
  tickedAt = Date.now();
  for (const listener of listeners) listener();
}, 1000);

/** Returns when this page was last shown, or its computer last woke, in ms of this browser's clock. */
export function lastResumedAt(): number {
  return Date.now() - tickedAt > longestTickMs ? Date.now() : resumedAt;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Draws the caller again when the text changes with time. */
export function useTimed<Text extends string | boolean>(text: () => Text): Text {
  return useSyncExternalStore(subscribe, text);
}

/** How long until a time, with the time itself in local words. */
export function Until({ time }: { readonly time: string }) {
  const text = useTimed(() => timeUntil(time));
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
