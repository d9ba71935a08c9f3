import { getPath } from "hono/utils/url";
import type { PlainRequest } from "../request/plain-request.ts";

/** A request's path as routing, dialects and errors see it, and its `/k/` key. */
export interface PathAndKey {
  readonly path: string;
  /** Empty if the client's key was empty. Undefined if the base URL has no place for one. */
  readonly key: string | undefined;
}

const PREFIX = "/k/";

export function splitPathKey(request: Pick<PlainRequest, "url">): PathAndKey {
  const path = formatPath(request);
  if (!path.startsWith(PREFIX)) return { path, key: undefined };
  const end = path.indexOf("/", PREFIX.length);
  if (end === -1) return { path: "/", key: path.slice(PREFIX.length) };
  return { path: path.slice(end), key: path.slice(PREFIX.length, end) };
}

/** The cast is sound: Hono reads only the URL here. */
function formatPath(request: Pick<PlainRequest, "url">): string {
  return getPath(request as Request);
}
