import type { Context } from "../context.ts";
import type { Key } from "../ports/table.ts";
import { keyText } from "../store/keys.ts";
import type { Sealed } from "../store/sealed.ts";

type Part = "text" | "reply";

/** Seals the text or the reply of a message. The seal opens for this part of this message only. */
export function sealPart({ sealer }: Context<"sealer">, message: Key, part: Part, text: string): Promise<Sealed> {
  return sealer.seal(text, formatContext(message, part));
}

export function openPart({ sealer }: Context<"sealer">, message: Key, part: Part, sealed: Sealed): Promise<string> {
  return sealer.open(sealed, formatContext(message, part));
}

function formatContext(message: Key, part: Part): string {
  return `${keyText(message)}#${part}`;
}
