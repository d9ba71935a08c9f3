import type { Context } from "../context.ts";
import type { Key } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { keyText } from "../store/keys.ts";
import type { Sealed } from "../store/sealed.ts";

const LONGEST_URL = 2048;

/**
 * Refuses a URL that is not plain http(s) or is private (docs/apis/novita.md#webhooks). Throws `invalid` for `field`.
 */
export async function checkReceiver(ctx: Context<"fetch">, url: string, field: string): Promise<void> {
  if (!isReceiverUrl(url)) throw refused(field, url, "must be a valid http or https URL");
  if ((await ctx.fetch.authorize(url)) === "private") throw refused(field, url, "must not point to a private address");
}

/** Reports whether the text is an http(s) URL with a host, without user info, of at most 2048 characters. */
export function isReceiverUrl(text: string): boolean {
  if (text.length > LONGEST_URL || !form.test(text) || !URL.canParse(text)) return false;
  const { username, password, hostname } = new URL(text);
  return username === "" && password === "" && hostname !== "";
}

/** Rejects slashes, white space and backslashes that URL parsers repair, so that the checked URL is the one called. */
const form = /^https?:\/\/[^/?#\\@\s\p{Cc}]+(?:[/?#][^\s\p{Cc}]*)?$/iu;

export async function sealReceiver({ sealer }: Context<"sealer">, record: Key, url: string): Promise<Sealed> {
  return sealer.seal(url, receiverContext(record));
}

/** Throws if the sealed URL was changed or belongs to another record. */
export async function openReceiver({ sealer }: Context<"sealer">, record: Key, receiver: Sealed): Promise<string> {
  return sealer.open(receiver, receiverContext(record));
}

function receiverContext(record: Key): string {
  return `${keyText(record)}#receiver`;
}

function refused(field: string, input: string, rule: string): Problem {
  const message = `${field} ${rule}`;
  return new Problem("invalid", message, { fields: [{ type: "value_error", path: ["body", field], message, input }] });
}
