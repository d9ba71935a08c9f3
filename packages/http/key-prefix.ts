import { getPath } from "hono/utils/url";

/** A request's path as routing, dialects and errors see it, and the key that stood in front of it. */
export interface KeyedPath {
  readonly path: string;
  /** "" where a client's key was empty; undefined where the base URL has no place for one. */
  readonly key: string | undefined;
}

const PREFIX = "/k/";

/** Takes `/k/<key>` off the path of a request, once (docs/apis/common.md#keys). `/k/<key>` alone is the root. */
export function keyedPath(request: Request): KeyedPath {
  const whole = getPath(request);
  if (!whole.startsWith(PREFIX)) return { path: whole, key: undefined };
  const end = whole.indexOf("/", PREFIX.length);
  if (end === -1) return { path: "/", key: whole.slice(PREFIX.length) };
  return { path: whole.slice(end), key: whole.slice(PREFIX.length, end) };
}
