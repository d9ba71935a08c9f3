import type { ViewerRequest } from "./edge.ts";

/** Requests with an unusual path, key, method or headers. `key` is valid. */
export function oddRequests(key: string): Readonly<Record<string, ViewerRequest>> {
  const bearer = { authorization: `Bearer ${key}` };
  const get = (target: string, headers: Readonly<Record<string, string>> = bearer): ViewerRequest => ({
    method: "GET",
    target,
    headers,
  });
  const post = (target: string, text = "{}"): ViewerRequest => {
    const body = Buffer.from(text);
    const ofBody = { "content-type": "application/json", "content-length": String(body.byteLength) };
    return { method: "POST", target, headers: { ...bearer, ...ofBody }, body };
  };
  return {
    ...Object.fromEntries(oddPaths.map((path) => [`GET ${path}`, get(path)])),
    ...Object.fromEntries(oddExecPaths.map((path) => [`POST ${path}`, post(path, '{"command":"pwd"}')])),
    "a long name of a disk, and a lone percent sign": get(`/v1/disks/${"x".repeat(7_000)}%`),
    "a long name of a disk, with escaped spaces": get(`/v1/disks/${"a%20".repeat(1_500)}`),
    "a path of many parts, with escaped spaces": get(`/v1/jobs${"/a%20".repeat(1_500)}`),
    "a path that nobody knows, in each dialect: gpu-dev": get("/nothing/there"),
    "a path that nobody knows, in each dialect: session-manager": get("/session/a/b/c"),
    "a path that nobody knows, in each dialect: onmemos": get("/v1/sessions/a/b/c"),
    "a path that nobody knows, in each dialect: novita": get("/api/nothing"),
    "a path that nobody knows, in each dialect: dev8": get("/api/v1/nothing"),
    "HEAD of a path that nobody knows": { ...get("/nothing"), method: "HEAD" },
    "OPTIONS of a list": { ...get("/v1/jobs"), method: "OPTIONS" },
    "PATCH of a job": { ...post("/v1/jobs/abcdefgh"), method: "PATCH" },
    "TRACE of a list": { ...get("/v1/jobs"), method: "TRACE" },
    "GET where a command is run": get("/v1/sessions/ws-a-b-1/execute"),
    "GET with a body": { ...post("/v1/jobs"), method: "GET" },
    "a key in the path": get(`/k/${key}/v1/jobs`, {}),
    "a key in the path and an escaped slash": get(`/k/${key}/v1/disks/a%2Fb`, {}),
    "a key in the path twice": get(`/k/${key}/k/${key}/v1/jobs`, {}),
    "a key in the path and nothing behind it": get(`/k/${key}`, {}),
    "a bad key in the path, and a good one in a header": get("/k/bad/v1/jobs"),
    "an empty key in the path": get("/k//v1/jobs", {}),
    "a key in the path with an escaped slash": get("/k/a%2Fb/v1/jobs", {}),
    "a key in another header": get("/v1/jobs", { "x-api-key": key }),
    "a key in the query, where it is none": get(`/v1/jobs?api_key=${key}`, {}),
    "a scheme that nobody knows": get("/v1/jobs", { authorization: "Basic YTpi" }),
    "an empty key": get("/v1/jobs", { authorization: "" }),
    "headers of the edge from a client": get("/v1/jobs", {
      "x-berth-origin": "s".repeat(32),
      "x-berth-path": "/health",
      "x-berth-key": key,
    }),
    "a request id that is none": get("/v1/jobs", { ...bearer, "x-request-id": "a b", "x-correlation-id": "a b" }),
    "an escaped k before a key": get(`/%6B/${key}/v1/jobs`, {}),
    "a body that is no UTF-8": {
      ...post("/v1/jobs/submit"),
      headers: { ...bearer, "content-type": "text/plain" },
      body: Buffer.from([0x7b, 0xff, 0x7d]),
    },
    "a body in a type of its own": { ...post("/v1/jobs/submit"), headers: { ...bearer, "content-type": "a/b" } },
  };
}

const oddPaths = [
  ...["/v1/disks/%2541", "/v1/disks/100%25", "/v1/disks/a%2Fb", "/v1/disks/a%2fb%2Fc", "/v1/disks/a%3Fb"],
  ...["/v1/disks/%C3%BCber", "/v1/disks/a%20b", "/v1/disks/a+b", "/v1/disks/a%23b", "/v1/disks/a%5Cb", "/v1/disks/a;b"],
  ...["/v1/disks/%FF", "/v1/disks/100%", "/v1/disks/%00", "/v1/%6Aobs", "/v1%2Fjobs"],
  ...["/v1/./jobs", "/v1/x/../jobs", "/docs/%2e%2e/openapi.json"],
  ...["//v1/jobs", "/v1//jobs", "/V1/jobs", "/v1/jobs/", "/k", "/v1/jobs/%25"],
  ...["/v1/jobs?limit=%31", "/v1/jobs?limit=1&limit=2", "/v1/jobs?limit=x", "/v1/jobs?status=a%26b+c%", "/v1/jobs?"],
  ...["/v1/cloudrun/workspaces/a/b/shell", "/v1/cloudrun/workspaces/a/sh%65ll", "/else/v1/cloudrun/workspaces/a/shell"],
  ...["/api/instances/inst_%2F", "/api/v1/environments/a%2541b", "/session/%32", "/docs/..%2Fopenapi.json"],
];

/** Paths of function URLs, which are not decoded. */
const oddExecPaths = [
  ...["/v1/sessions/a%2Fb/execute", "/v1/sessions/a%2541/execute", "/v1/cloudrun/workspaces/100%25/runsh"],
  ...["/v1/sessions/ws-n-u-1/execute?x=%2F", "/v1/cloudrun/workspaces/a/b/execute", "/v1/sessions//execute"],
  ...["/v1/sessions/a/%65xecute", "/else/v1/sessions/a/execute", "/v1/jobs/../sessions/a/execute"],
];
