import { useSyncExternalStore } from "react";

let said = "";
const listeners = new Set<() => void>();

/** Tells a text to screen readers once they have finished what they read. */
export function announce(text: string): void {
  said = text === said ? `${text}\u00A0` : text;
  for (const listener of listeners) listener();
}

export function Announcer() {
  const text = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => said,
  );
  return (
    <div className="unseen" role="status" aria-live="polite">
      {text}
    </div>
  );
}
