import { getPath } from "hono/utils/url";
import type { PlainRequest } from "../request/plain-request.ts";

/** A request's path as routing, dialects and errors see it, and the key that stood in front of it. */
export interface PathAndKey {
  readonly path: string;
  /** "" where a client's key was empty; undefined where the base URL has no place for one. */
  readonly key: string | undefined;
}

const PREFIX = "/k/";

/** Takes `/k/<key>` off the path of a request, once (docs/apis/common.md#keys). `/k/<key>` alone is the root. */
export function splitPathKey(request: Pick<PlainRequest, "url">): PathAndKey {
  const path = formatPath(request);
  if (!path.startsWith(PREFIX)) return { path, key: undefined };
  const end = path.indexOf("/", PREFIX.length);
  if (end === -1) return { path: "/", key: path.slice(PREFIX.length) };
  return { path: path.slice(end), key: path.slice(PREFIX.length, end) };
}

/** The cast is sound: of a Request, Hono reads its URL alone there. */
function formatPath(request: Pick<PlainRequest, "url">): string {
  return getPath(request as Request);
}
