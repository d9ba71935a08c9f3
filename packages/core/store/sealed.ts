/** Text that only a Sealer can open again. The brand keeps clear text from being stored in its place. */
export type Sealed = string & { readonly __sealed: true };

/** A sealed text that this sealer never opens: it was changed, or sealed with another key or for another record. */
export class WrongSeal extends Error {
  constructor() {
    super("A sealed text was changed, or sealed with another key or for another record");
    this.name = "WrongSeal";
  }
}

/** Names a text that was read back from a record as sealed; only record parsers call this. */
export function asSealed(text: string): Sealed {
  return text as Sealed;
}
