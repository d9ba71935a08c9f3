import { hash } from "node:crypto";
import type { Sealer } from "#core/ports/sealer.ts";
import { asSealed, WrongSeal } from "#core/store/sealed.ts";

/** Seals without secrecy: it hides the text from a glance and notices changes and another context, as the real one does. */
export function memorySealer(): Sealer {
  return {
    async seal(text, context) {
      return asSealed(`${Buffer.from(text).toString("base64url")}.${checksum(text, context)}`);
    },
    async open(sealed, context) {
      const [, sum] = sealed.split(".");
      const text = unsealed(sealed);
      if (sum !== checksum(text, context)) throw new WrongSeal();
      return text;
    },
  };
}

/** Returns what this sealer sealed, for whatever context: for who watches a table. */
export function unsealed(sealed: string): string {
  return Buffer.from(sealed.split(".")[0] ?? "", "base64url").toString();
}

function checksum(text: string, context: string): string {
  return hash("sha256", JSON.stringify([context, text]), "base64url");
}
