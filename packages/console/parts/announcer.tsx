import { useEffect, useState } from "react";

let said = "";
const listeners = new Set<(text: string) => void>();

/** Texts of one update of the page, which are announced together. */
const unsaid: string[] = [];

/** Tells a text to screen readers once they have finished what they read. */
export function announce(text: string): void {
  unsaid.push(text);
  if (unsaid.length === 1) queueMicrotask(say);
}

function say(): void {
  const text = unsaid.splice(0).join(". ");
  said = text === said ? `${text}\u00A0` : text;
  for (const listener of listeners) listener(said);
}

/**
 * The live region of announcements, which begins empty. Each dialog has its own, because a modal dialog makes the rest of
 * the page inert, and screen readers do not read inert text.
 */
export function Announcer() {
  const [text, setText] = useState("");
  useEffect(() => {
    listeners.add(setText);
    return () => void listeners.delete(setText);
  }, []);
  return (
    <div className="unseen" role="status" aria-live="polite">
      {text}
    </div>
  );
}
