import { request } from "node:http";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterEach, beforeAll, expect, test } from "vitest";
import type { Runtime } from "#http/runtime.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { bundleConsole, type ConsoleFile, keepConsole } from "../../../scripts/bundling/console.ts";
import { type RunningServer, startServer } from "./server.ts";

const servers: RunningServer[] = [];
const reach = { openTerminal: () => Promise.reject(new Error("There are no terminals here")) };
let files: ConsoleFile[];

beforeAll(async () => {
  files = await bundleConsole();
  await keepConsole();
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

interface Asked {
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server without endpoints, and a way to ask it under any host. */
async function fixture() {
  // Sound because there are no endpoints.
  const runtime = (await fixtureRuntime()) as unknown as Runtime;
  const server = await startServer(() => runtime, [], { port: 0, setting: "PORT", ways: { reach } });
  servers.push(server);
  const { port } = new URL(server.url);
  const ask = async (path: string, { host = "berth.localhost", method = "GET", headers = {} }: Asked = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<import("node:http").IncomingMessage>();
    const all = { host: `${host}:${port}`, ...headers };
    request({ port, host: "127.0.0.1", path, method, headers: all }, resolve).once("error", reject).end();
    const response = await promise;
    return { status: response.statusCode, headers: response.headers, body: await text(response) };
  };
  return { port, ask };
}

const navigation = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", accept: "text/html,*/*" };

test.each([
  ["index.html", 150_000],
  ["terminal.html", 110_000],
])("the first load of %s is at most %i bytes, compressed", (name, limit) => {
  const [found] = files.filter(({ path }) => path === name);
  const page = Buffer.from(found?.contents ?? "").toString();
  const bytes = files
    .filter(({ path }) => path.startsWith("assets/") && page.includes(path))
    .map(({ contents }) => gzipSync(contents).length);

  expect(bytes.length).toBeGreaterThanOrEqual(2);
  expect(bytes.reduce((total, count) => total + count, 0)).toBeLessThanOrEqual(limit);
});

test("the page names all scripts of the first load, so that none waits for another", () => {
  const read = (wanted: string) => Buffer.from(files.find(({ path }) => path === wanted)?.contents ?? "").toString();
  const page = read("index.html");
  const named = [...page.matchAll(/assets\/[^"]+\.js/g)].map(([path]) => path);
  const imported = named.flatMap((path) => [...read(path).matchAll(/(?:from|import)\(?"\.\/([\w-]+\.js)"/g)]);

  expect(imported.length).toBeGreaterThanOrEqual(3);
  expect(imported.map(([, name]) => name).filter((name) => !page.includes(`/assets/${name}"`))).toEqual([]);
});

test("pages are not stored, and assets are for ever", async () => {
  const { ask } = await fixture();
  const page = await ask("/", { headers: navigation });
  const [, script = ""] = /src="([^"]+)"/.exec(page.body) ?? [];
  const asset = await ask(script);

  expect([page.status, page.headers["cache-control"]]).toEqual([200, "no-store"]);
  expect([asset.status, asset.headers["content-type"]]).toEqual([200, "text/javascript; charset=utf-8"]);
  expect(asset.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
});

test("a page of the console runs only its own scripts, and makes no markup of text", async () => {
  const { ask } = await fixture();
  const { headers, body } = await ask("/jobs/1234/logs");

  const policy = String(headers["content-security-policy"]).split("; ");
  expect(policy).toEqual(
    expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]),
  );
  expect(policy).toEqual(expect.arrayContaining(["require-trusted-types-for 'script'", "trusted-types 'none'"]));
  expect(body).not.toMatch(/<script(?![^>]* src=)|<style| style=| on\w+=/);
});

test("only the page of the terminal may have styles of its own", async () => {
  const { ask } = await fixture();
  const { headers } = await ask("/jobs/1234/terminal");

  expect(headers["content-security-policy"]).toContain("style-src 'self' 'unsafe-inline'");
  expect(headers["content-security-policy"]).toContain("script-src 'self';");
});

test("the page of a terminal connects only to environments of this stack", async () => {
  const { ask } = await fixture();
  const policy = String((await ask("/jobs/1234/terminal")).headers["content-security-policy"]);

  const { scheme, domain } = (await fixtureRuntime()).settings;
  expect([scheme, policy.split("; ").at(-1)]).toEqual(["http", `connect-src 'self' ws://*.${domain}`]);
});

test.each(["127.0.0.1", "localhost"])("a browser that opens %s is sent to the console's own host", async (host) => {
  const { ask, port } = await fixture();
  const { status, headers } = await ask("/", { host, headers: navigation });

  expect([status, headers.location]).toEqual([302, `http://berth.localhost:${port}/`]);
});

test("clients of the API get the API at every host", async () => {
  const { ask } = await fixture();
  const accept = { headers: { accept: "application/json" } };
  const answers = await Promise.all([
    ask("/", accept),
    ask("/", { ...accept, host: "127.0.0.1" }),
    ask("/", { host: "127.0.0.1", headers: { accept: "text/html" } }),
    ask("/v1/nothing", { headers: navigation }),
    ask("/login", { method: "POST" }),
  ]);

  expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
  expect(answers.map(({ headers }) => headers["berth-error"])).toEqual(Array(5).fill("not_found"));
});

test.each([
  "/assets/../index.html",
  "/assets/%2e%2e/index.html",
  "/assets/main.js",
  "/assets/main-AAAAAAAA.js",
  "/assets/main-AAAAAAAA.js/../../../package.json",
])("%s is no asset", async (path) => {
  const { ask } = await fixture();

  expect((await ask(path)).status).toBe(404);
});
