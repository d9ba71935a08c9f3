import type { Actor } from "#core/context.ts";
import type { PlainHeaders } from "../request/plain-request.ts";
import { type KeyCheck, presentedKey } from "./key-check.ts";

/**
 * Admits a request without a key as the local user if its Host and, where present, its Origin name the loopback
 * (docs/apis/common.md#keys). A presented key is still checked.
 */
export function allowKeyless(localUser: (() => Promise<Actor>) | undefined, check: KeyCheck): KeyCheck {
  if (!localUser) return check;
  return async (headers, further) => {
    const isOpen = presentedKey(headers, further) === undefined && namesLoopback(headers);
    return isOpen ? localUser() : check(headers, further);
  };
}

/** A page of another site can forge neither. A DNS name rebound to 127.0.0.1 still shows in Host. */
function namesLoopback(headers: PlainHeaders): boolean {
  const [host, origin] = [headers.get("host"), headers.get("origin")];
  if (host === null || !loopbackHost.test(host)) return false;
  return origin === null || loopbackOrigin.test(origin);
}

/** Excludes names below `localhost`, where environments serve their pages. */
const loopback = String.raw`(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?`;
const loopbackHost = new RegExp(`^${loopback}$`, "i");
const loopbackOrigin = new RegExp(`^https?://${loopback}$`, "i");
