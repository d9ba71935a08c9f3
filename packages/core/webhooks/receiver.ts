import type { Context } from "../context.ts";
import type { Key } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { keyText } from "../store/keys.ts";
import type { Sealed } from "../store/sealed.ts";

const LONGEST_URL = 2048;

/**
 * Refuses a receiver that is no plain http(s) URL or points to an address that is not dialled
 * (docs/apis/novita.md#webhooks). Throws `invalid` with one bad field of the body, which the caller names.
 */
export async function checkReceiver(ctx: Context<"fetch">, url: string, field: string): Promise<void> {
  if (!isReceiverUrl(url)) throw refused(field, url, "must be a valid http or https URL");
  if ((await ctx.fetch.authorize(url)) === "private") throw refused(field, url, "must not point to a private address");
}

/** Whether it has the form of one: http or https, a host, no userinfo, at most 2048 characters. */
export function isReceiverUrl(text: string): boolean {
  if (text.length > LONGEST_URL || !form.test(text) || !URL.canParse(text)) return false;
  const { username, password, hostname } = new URL(text);
  return username === "" && password === "" && hostname !== "";
}

/** Slashes, white space and backslashes that a parser would mend are refused: what was checked is what is dialled. */
const form = /^https?:\/\/[^/?#\\@\s\p{Cc}]+(?:[/?#][^\s\p{Cc}]*)?$/iu;

/** Seals a receiver for the record with this key: an address may hold a token. */
export async function sealReceiver({ sealer }: Context<"sealer">, record: Key, url: string): Promise<Sealed> {
  return sealer.seal(url, receiverContext(record));
}

/** Throws when it was changed, or sealed for another record. */
export async function openReceiver({ sealer }: Context<"sealer">, record: Key, receiver: Sealed): Promise<string> {
  return sealer.open(receiver, receiverContext(record));
}

/** Not the context of anything else that the same record seals. */
function receiverContext(record: Key): string {
  return `${keyText(record)}#receiver`;
}

function refused(field: string, input: string, what: string): Problem {
  const message = `${field} ${what}`;
  return new Problem("invalid", message, { fields: [{ type: "value_error", path: ["body", field], message, input }] });
}
