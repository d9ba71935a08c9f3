import type { Endpoint } from "#http/endpoint.ts";
import { huge } from "../fixtures/catalog-cases.ts";
import type { GoodRequest } from "../fixtures/catalog-requests.ts";
import type { ViewerRequest } from "./edge.ts";

/** Builds a viewer's request from the catalog's request, with both ids and these changes. */
export function viewerRequest({ method, path, sent }: GoodRequest, changed: Partial<GoodRequest["sent"]> = {}) {
  const { key, body, headers = {} } = { ...sent, ...changed };
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const bytes = text === undefined ? undefined : Buffer.from(text);
  return {
    method,
    target: path,
    body: bytes,
    headers: {
      "x-request-id": "a.B_c-1",
      "x-correlation-id": "corr-1",
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(bytes && { "content-type": "application/json", "content-length": String(bytes.byteLength) }),
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    },
  } satisfies ViewerRequest;
}

/** Derives requests from a valid one that the endpoint refuses or answers without a change. */
export function unchangingRequests(endpoint: Endpoint, good: GoodRequest): Readonly<Record<string, ViewerRequest>> {
  const { method, path, sent } = good;
  const hasBody = method === "POST" || method === "PUT" || endpoint.body !== undefined;
  const withKey = sent.key !== undefined;
  const prefixed = { ...good, path: `/k/${sent.key}${path === "/" ? "" : path}`, sent: { ...sent, key: undefined } };
  const { key: _, ...keyless } = sent;
  const isRead = method === "GET";
  return {
    ...(withKey && {
      "no key": viewerRequest({ method, path, sent: keyless }),
      "a key that nobody has": viewerRequest(good, { key: "nobodys-key-0123456789" }),
      "a key that is none": viewerRequest(good, { key: "short" }),
    }),
    ...(withKey && isRead && { "its key in the path": viewerRequest({ ...prefixed, sent: keyless }) }),
    ...(isRead && { HEAD: viewerRequest({ ...good, method: "HEAD" }) }),
    "a method that it does not have": viewerRequest({ ...good, method: "PATCH" }),
    "a slash at its end": viewerRequest({ ...good, path: `${path}${path === "/" ? "x" : "/"}` }),
    ...(hasBody && {
      "a body that is no JSON": viewerRequest(good, { body: "{" }),
      "a body that is no object": viewerRequest(good, { body: "[]", headers: { "content-type": "text/plain" } }),
      "a body over 1 MiB": viewerRequest(good, { body: huge }),
    }),
  };
}
