import type { Sealed } from "../store/sealed.ts";

/** Authenticated encryption of short texts; `context` must be equal at both ends (the record's key). */
export interface Sealer {
  seal(text: string, context: string): Promise<Sealed>;
  /** Throws `WrongSeal` when it was changed, or sealed for another context or with another key. */
  open(sealed: Sealed, context: string): Promise<string>;
}
