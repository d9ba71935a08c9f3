import { useState } from "react";
import { printable } from "../data/words.ts";
import { announce } from "./announcer.tsx";

/** A line for a terminal that does the same, with a button that copies it. */
export function CommandLine({ words }: { readonly words: string }) {
  const [isCopied, setIsCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(words);
    setIsCopied(true);
    announce("Copied");
    setTimeout(() => setIsCopied(false), 2000);
  };
  return (
    <span className="command">
      <code>{printable(words, 4000)}</code>
      <button type="button" className="quiet" aria-label={`Copy: ${printable(words, 80)}`} onClick={() => void copy()}>
        {isCopied ? "Copied" : "Copy"}
      </button>
    </span>
  );
}
