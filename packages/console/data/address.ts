import type { Me } from "../../sdk/berth.ts";
import { useKept } from "./live.ts";

/** The names of this machine. */
const local = /^(localhost|.+\.localhost|127(\.\d{1,3}){3})$/;

/** Returns an address if the console's deployment serves it, over TLS or on this machine. */
export function useWebAddress(text: string | null): URL | undefined {
  const me = useKept<Me>(["me"]);
  if (text === null || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol === "http:" && local.test(location.hostname) && local.test(url.hostname)) return url;
  const isBelow = me !== undefined && `.${url.host}`.endsWith(`.${me.pages_domain}`);
  return url.protocol === "https:" && (isBelow || url.host === location.host) ? url : undefined;
}
