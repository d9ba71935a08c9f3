import type { Sealed } from "../store/sealed.ts";

/** Authenticated encryption of short texts. `context` is the record's key and must be the same for both calls. */
export interface Sealer {
  seal(text: string, context: string): Promise<Sealed>;
  /** Throws `WrongSeal` if the text was changed, or sealed for another context or with another key. */
  open(sealed: Sealed, context: string): Promise<string>;
}
