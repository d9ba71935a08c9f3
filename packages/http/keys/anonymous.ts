import type { Actor } from "#core/context.ts";
import type { PlainHeaders } from "../request/plain-request.ts";
import { type KeyCheck, presentedKey } from "./key-check.ts";

/**
 * A key check that takes a request without a key for one of the local user's, when it comes from this very machine by
 * its Host and, where a page sends it, by its Origin (docs/apis/common.md#keys). A key that is presented counts.
 */
export function allowKeyless(localUser: (() => Promise<Actor>) | undefined, check: KeyCheck): KeyCheck {
  if (!localUser) return check;
  return async (headers, further) => {
    const isOpen = presentedKey(headers, further) === undefined && namesLoopback(headers);
    return isOpen ? localUser() : check(headers, further);
  };
}

/** A page of another site cannot forge either, and a name that was rebound to 127.0.0.1 stays in Host. */
function namesLoopback(headers: PlainHeaders): boolean {
  const [host, origin] = [headers.get("host"), headers.get("origin")];
  if (host === null || !loopbackHost.test(host)) return false;
  return origin === null || loopbackOrigin.test(origin);
}

/** Not names below `localhost`: environments serve their pages there. */
const loopback = String.raw`(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?`;
const loopbackHost = new RegExp(`^${loopback}$`, "i");
const loopbackOrigin = new RegExp(`^https?://${loopback}$`, "i");
