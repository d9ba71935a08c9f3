import { Berth } from "../../sdk/berth.ts";
import { CliError, exitCodes } from "../failure.ts";
import { findLocalStack, isLoopback } from "../stack/local-stack.ts";
import { printable } from "../terminal/text.ts";

/** Returns the address of a deployment as profiles hold it. Throws unless a key may be sent there. */
export function readAddress(text: string, name: string): string {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    const hint = "Write the whole address, for example https://berth.example";
    throw new CliError(`${name} is not an address: '${printable(text)}'`, exitCodes.usage, hint);
  }
  return new Berth({ url: text }).url;
}

/** Reads an address that may be typed without `https://`, or without `http://` if it is on this machine. */
export function readTypedAddress(text: string): string {
  const scheme = isLoopback(`http://${text}`) ? "http" : "https";
  const url = readAddress(text.includes("://") ? text : `${scheme}://${text}`, "This");
  return localStackAddress(url) ?? url;
}

/** Returns the address of the local stack as its own record has it, if this one leads there: `localhost` is a name of it. */
function localStackAddress(url: string): string | undefined {
  const stack = findLocalStack();
  return stack && isLoopback(url) && new URL(url).port === new URL(stack.url).port ? stack.url : undefined;
}

/** Returns an API key. A line break or a space in it would fail later, with the key in the message. */
export function readKey(text: string, name: string): string {
  const key = text.trim();
  if (/^[\x21-\x7E]+$/.test(key)) return key;
  const words = key === "" ? `${name} holds no key` : `${name} holds characters that no key has`;
  throw new CliError(words, exitCodes.usage, "A key is one word, as berth env prints it");
}
