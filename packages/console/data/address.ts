/** Returns the address if it is one of the web: over TLS, or on this machine. */
export function webAddress(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHere = /^(localhost|.+\.localhost|127(\.\d{1,3}){3})$/.test(url?.hostname ?? "");
  return url?.protocol === "https:" || (url?.protocol === "http:" && isHere) ? url : undefined;
}
