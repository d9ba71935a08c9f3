/** Text that only a Sealer can open. The brand prevents storing clear text in its place. */
export type Sealed = string & { readonly __sealed: true };

/** The sealer can never open this text: it was changed, or sealed with another key or for another record. */
export class WrongSeal extends Error {
  constructor() {
    super("A sealed text was changed, or sealed with another key or for another record");
    this.name = "WrongSeal";
  }
}

/** Brands a text read from a record as sealed. Only record parsers may call this. */
export function asSealed(text: string): Sealed {
  return text as Sealed;
}
