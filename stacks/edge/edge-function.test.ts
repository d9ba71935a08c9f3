import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { transform } from "esbuild";
import { expect, test } from "vitest";
import { listConsolePages, type PagesAddress } from "#http/console-pages.ts";
import functionsFile from "../../functions.json" with { type: "json" };
import { bundleConsole } from "../../scripts/bundling/console.ts";
import { edgePages } from "./console.ts";
import { edgeCode } from "./edge.ts";

const secret = "s".repeat(32);
const source = readFileSync(new URL("edge-function.js", import.meta.url), "utf8");
const files = new Map((await bundleConsole()).map(({ path, contents }) => [path, new TextDecoder().decode(contents)]));
const address: PagesAddress = { scheme: "https", domain: "pages.berth.dev" };
const pages = edgePages(address, (name) => files.get(name) ?? "");
const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

interface EdgeRequest {
  readonly uri: string;
  readonly headers: Readonly<Record<string, { readonly value: string }>>;
}

interface EdgeAnswer {
  readonly statusCode?: number;
  readonly headers: EdgeRequest["headers"];
  readonly body?: { readonly encoding: string; readonly data: string };
}

/** Returns the request after the edge function (CloudFront Developer Guide, "CloudFront Functions event structure"). */
function requestAfter(uri: string, headers: EdgeRequest["headers"] = {}, method = "GET"): EdgeRequest & EdgeAnswer {
  const event = {
    version: "1.0",
    context: { distributionDomainName: "d111111abcdef8.cloudfront.net", eventType: "viewer-request" },
    viewer: { ip: "198.51.100.11" },
    request: { method, uri, querystring: { q: { value: "/k/x" } }, headers: { ...headers }, cookies: {} },
  };
  // The edge has no globals of Node.
  return runInNewContext(`${edgeCode(source, `${secret},${"o".repeat(32)}`, pages)}\nhandler(event)`, { event });
}

test("the edge sets the client's address and the origin secret, which clients cannot set", () => {
  const host = { value: "berth.dev" };
  const forged = { value: "forged" };

  const { uri, headers } = requestAfter("/v1/jobs", {
    host,
    "x-berth-viewer": forged,
    "x-berth-origin": forged,
    "x-berth-key": forged,
    "x-berth-other": forged,
  });

  expect(uri).toBe("/v1/jobs");
  expect(headers).toEqual({
    host,
    "x-berth-viewer": { value: "198.51.100.11" },
    "x-berth-origin": { value: secret },
  });
});

test.each(["/", "/k/abc/"])("the edge passes on the host %s, which the page there shows", (uri) => {
  const { headers } = requestAfter(uri, { host: { value: "berth.dev" }, "x-berth-host": { value: "forged" } });

  expect(headers["x-berth-host"]).toEqual({ value: "berth.dev" });
  expect(requestAfter("/v1/jobs", { host: { value: "berth.dev" } }).headers["x-berth-host"]).toBeUndefined();
});

test("the edge passes on the host of a request with an Origin, which is compared with it", () => {
  const host = { value: "berth.dev" };
  const passed = { origin: { value: "https://berth.dev" }, "sec-fetch-site": { value: "same-origin" } };

  const { headers } = requestAfter("/v1/jobs", { host, ...passed, "x-berth-host": { value: "forged" } });

  expect(headers).toMatchObject({ ...passed, "x-berth-host": host });
});

test.each([
  ["/k/abc/v1/jobs", "/v1/jobs", "abc"],
  ["/k/abc", "/", "abc"],
  ["/k/abc/", "/", "abc"],
  ["/k//v1/jobs", "/v1/jobs", "/"],
  ["/k/", "/", "/"],
  ["/k/a%2Fb/k/c", "/k/c", "a%2Fb"],
])("the edge removes the key from the path of %s", (sent, uri, key) => {
  const request = requestAfter(sent);

  expect([request.uri, request.headers["x-berth-key"]]).toEqual([uri, { value: key }]);
});

test.each([
  ["/K/abc/v1/jobs", "/K/***/v1/jobs"],
  ["//k/abc/v1/jobs", "//k/***/v1/jobs"],
  ["///K/abc", "///K/***"],
  ["/%6B/abc/v1/jobs", "/%6B/***/v1/jobs"],
  ["/%4b/a%2Fb/v1/jobs", "/%4b/***/v1/jobs"],
  ["/k%5Cabc/v1/jobs", "/k%5C***/v1/jobs"],
  ["/./k/abc/v1/jobs", "/./k/***/v1/jobs"],
])("the key after the misspelled prefix of %s reaches no origin", (sent, uri) => {
  const request = requestAfter(sent);

  expect([request.uri, request.headers["x-berth-key"]]).toEqual([uri, undefined]);
  expect(request.headers["x-berth-path"]?.value ?? uri).toBe(uri);
});

test.each([
  "/%6b%2fabc",
  "/k%2fabc/v1/jobs",
  "/k%2Fabc%2Fv1/jobs",
  "/%2Fk/abc",
  "/%2e/%6B%2fabc",
  "/%252fk%252fabc",
  "/%25256b/abc",
  "/\\k\\abc",
])("neither the path nor a header of %s contains the key", (sent) => {
  expect(JSON.stringify(requestAfter(sent))).not.toContain("abc");
});

test.each(["/", "/k", "/keys", "/v1/k/abc", "/.k", "/keys/abc"])("%s has no key in its path", (sent) => {
  const { uri, headers } = requestAfter(sent);

  expect([uri, headers["x-berth-key"]]).toEqual([sent, undefined]);
});

test.each([
  ["/v1/disks/a%2Fb", "/v1/disks/a%252Fb", "/v1/disks/a%2Fb"],
  ["/v1/disks/a%2fb%3Fc", "/v1/disks/a%252fb%3Fc", "/v1/disks/a%2fb%3Fc"],
  ["/k/a%2Fb/v1/%2541", "/v1/%2541", "/v1/%2541"],
  ["/v1/jobs", "/v1/jobs", undefined],
])("an escaped slash in %s does not split the path, and a header has the original path", (sent, uri, path) => {
  const request = requestAfter(sent, { "x-berth-path": { value: "/forged" } });

  expect([request.uri, request.headers["x-berth-path"]?.value]).toEqual([uri, path]);
});

test("a long path with a percent sign is cut to its route for the gateway, and the header has the rest", () => {
  const disk = `${"x".repeat(7_000)}%`;
  const deep = "/a%20b".repeat(1_000);

  const [long, many, escaped] = [`/v1/disks/${disk}/content`, deep, getEveryLetter("/v1/environments")].map((sent) => {
    const { uri, headers } = requestAfter(sent);
    return [uri, headers["x-berth-path"]?.value === sent];
  });

  expect(long).toEqual(["/v1/disks/-/content", true]);
  expect(many).toEqual(["/a%20b".repeat(10), true]);
  expect(requestAfter("/a%20b".repeat(10)).uri).toBe("/a%20b".repeat(10));
  expect(escaped).toEqual([getEveryLetter("/v1/environments"), true]);
});

/** Every path that is a route's comes to it, also where each letter of it is escaped. */
test("no route has a segment or a number of segments that the edge omits", () => {
  const routes = functionsFile.flatMap(({ path }) => path ?? []);
  const longest = routes.map((route) => getEveryLetter(route.replaceAll(/\{\w+\}/g, "x")));

  expect(longest.length).toBeGreaterThan(50);
  expect(longest.map((sent) => requestAfter(sent)).map(({ uri }) => uri)).toEqual(longest);
});

function getEveryLetter(path: string): string {
  return path.replaceAll(/[^/]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
}

test.each([
  ["/v1/cloudrun/workspaces/ws-1/shell", "/", "/v1/cloudrun/workspaces/ws-1/shell"],
  ["/k/abc/v1/cloudrun/workspaces/a%2Fb/shell", "/", "/v1/cloudrun/workspaces/a%2Fb/shell"],
  ["/v1/cloudrun/workspaces/a/b/shell", "/v1/cloudrun/workspaces/a/b/shell", undefined],
  ["/v1/cloudrun/workspaces/shell", "/v1/cloudrun/workspaces/shell", undefined],
])("a header tells the WebSocket API the path of %s", (sent, uri, path) => {
  const request = requestAfter(sent, { "x-berth-path": { value: "/forged" } });

  expect([request.uri, request.headers["x-berth-path"]?.value]).toEqual([uri, path]);
});

test.each([
  ["/", "index.html"],
  ["/login", "index.html"],
  ["/jobs/1234", "index.html"],
  ["/jobs/a%2Fb/logs", "index.html"],
  ["/disks/data", "index.html"],
  ["/admin/users", "index.html"],
  ["/jobs/1234/terminal", "terminal.html"],
])("a browser at %s gets the console's %s, with the headers of the embedded stack", (uri, name) => {
  const { statusCode, headers, body } = requestAfter(uri, { accept: { value: browser } });
  const found = Object.entries(headers).map(([header, { value }]) => [header, value]);

  expect([statusCode, body]).toEqual([200, { encoding: "text", data: files.get(name) }]);
  expect(Object.fromEntries(found)).toEqual({
    ...headersOf(name),
    "strict-transport-security": "max-age=31536000",
  });
});

test("the page of a terminal connects only to environments of its deployment", () => {
  const policy = requestAfter("/jobs/1/terminal", { accept: { value: browser } }).headers["content-security-policy"];
  const [page] = edgePages({ scheme: "https", domain: undefined }, () => "");

  expect(policy?.value).toContain("; connect-src 'self' wss://*.pages.berth.dev");
  expect(policy?.value.match(/wss?:/g)).toEqual(["wss:"]);
  expect(page?.headers["content-security-policy"]?.value).toMatch(/connect-src 'self'$/);
});

function headersOf(name: string): Record<string, string> {
  const { headers = {} } = listConsolePages(address).find((page) => page.name === name) ?? {};
  return Object.fromEntries(Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value]));
}

test("a page holds no secret, and a browser that asks for headers alone gets no body", () => {
  const answer = requestAfter("/", { accept: { value: browser } }, "HEAD");

  expect([answer.statusCode, answer.body]).toEqual([200, undefined]);
  expect(JSON.stringify(requestAfter("/", { accept: { value: browser } }))).not.toContain(secret);
});

test.each(["*/*", "application/json", "application/json, text/html;q=0.5", "text/plain", "text/htmlx", undefined])(
  "a client that accepts %j gets no page of the console",
  (accept) => {
    const requests = ["/", "/jobs/1234"].map((uri) =>
      requestAfter(uri, accept === undefined ? {} : { accept: { value: accept } }),
    );

    expect(requests.map(({ uri, statusCode }) => [uri, statusCode])).toEqual([
      ["/", undefined],
      ["/jobs/1234", undefined],
    ]);
  },
);

test("no path of an API, with or without a key, and no other method leads to the console", () => {
  const routes = functionsFile.flatMap(({ path }) => path ?? []).filter((path) => path !== "/");
  const paths = [
    ...routes.map((route) => route.replaceAll(/\{\w+\}/g, "x")),
    "/v1",
    "/jobsx",
    "/assets/x",
    "/k/abc/",
    "/k/abc/jobs/x",
    "//login",
  ];

  const answers = [
    ...paths.map((path) => requestAfter(path, { accept: { value: browser } })),
    ...["POST", "OPTIONS", "DELETE"].map((method) => requestAfter("/login", { accept: { value: browser } }, method)),
  ];

  expect(answers.length).toBeGreaterThan(50);
  expect(answers.filter(({ statusCode }) => statusCode !== undefined)).toEqual([]);
});

/** Syntax beyond ES 5.1 that the edge supports (CloudFront Developer Guide, "JavaScript runtime 2.0 features"). */
const syntax = {
  arrow: true,
  "async-await": true,
  "const-and-let": true,
  "exponent-operator": true,
  "rest-argument": true,
  "template-literal": true,
};

test("the code uses only syntax that the edge supports", async () => {
  const code = edgeCode(source, secret, pages);
  const atTheEdge = await transform(code, { target: "es5", supported: syntax });

  // esbuild would rewrite or refuse other syntax.
  expect(atTheEdge.code).toBe((await transform(code, { target: "esnext" })).code);
});

test("the code uses only globals and methods of the edge", () => {
  const names = new Set<string>();
  const scope = new Proxy({}, { has: (_, name) => !names.add(String(name)) });
  const paths = ["/k/abc/v1/jobs", "/v1/cloudrun/workspaces/ws-1/shell", "/v1/disks/a%2Fb", "/jobs/x"];

  for (const uri of paths) {
    const headers = { "x-berth-key": { value: "forged" }, accept: { value: browser } };
    const request = { method: "GET", uri, headers };
    const event = { viewer: { ip: "198.51.100.11" }, request };
    runInNewContext(`with (scope) { ${edgeCode(source, secret, pages)}; handler(event); }`, { scope, event });
  }

  const methods = new Set([...source.matchAll(/\.(\w+)\(/g)].map(([, name]) => name));
  expect([...names].sort()).toEqual(["Object", "event"]);
  expect([...methods].sort()).toEqual([
    ...["exec", "filter", "find", "forEach", "includes", "keys", "replace", "slice", "startsWith", "test"],
  ]);
});

test("the code is smaller than CloudFront's limit of 10 KB", () => {
  expect(edgeCode(source, "s".repeat(128), pages).length).toBeLessThan(10_000);
});

test.each(["", "short", `"${"s".repeat(40)}`, `${"s".repeat(40)}"};`])("the secret %s cannot inject code", (bad) => {
  expect(() => edgeCode(source, bad, pages)).toThrow("OriginSecrets must be");
});
