import type { Item, Sealer } from "../context.ts";
import { keyText } from "../keys.ts";
import { asSealed } from "../sealed.ts";
import { Unreadable } from "../unreadable.ts";

export interface OpenSpec {
  readonly image: string;
  readonly command: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/** Opens what is to be run; throws when the record was changed or belongs to another key. */
export async function decryptSpec(sealer: Sealer, item: Item): Promise<OpenSpec> {
  if (typeof item.image !== "string" || typeof item.sealed !== "string") throw new Unreadable("spec", item);
  const text = await sealer.open(asSealed(item.sealed), keyText(item));
  const { command, env } = JSON.parse(text) as Pick<OpenSpec, "command" | "env">;
  return { image: item.image, command, env };
}
