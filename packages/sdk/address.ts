import { errorFor } from "./errors.ts";

/** Returns an address without its last slash. Throws unless a key may be sent there: over TLS, or to this machine. */
export function baseUrl(text: string): string {
  const url = new URL(text);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url))) {
    throw errorFor(`${url.origin} is not https, so no key is sent there`, { status: 0, code: "invalid" });
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Reports whether an address is on this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}
