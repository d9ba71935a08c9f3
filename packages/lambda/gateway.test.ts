import { expect, test } from "vitest";
import type { PlainRequest } from "#http/request/plain-request.ts";
import { type GatewayEvent, parseGatewayEvent, requestOfEvent, resultOfResponse } from "./gateway.ts";

const api = "abc123.execute-api.us-east-1.amazonaws.com";
const functionUrl = "abc123.lambda-url.us-east-1.on.aws";

function toEvent(
  method: string,
  rawPath: string,
  { domainName = api, ...parts }: Partial<GatewayEvent> & { readonly domainName?: string } = {},
): GatewayEvent {
  const event = {
    version: "2.0",
    rawPath,
    rawQueryString: "",
    requestContext: { domainName, http: { method } },
    ...parts,
  };
  const knownGatewayEvent = parseGatewayEvent(event);
  if (!knownGatewayEvent) throw new Error("That is no event of a gateway");
  return knownGatewayEvent;
}

async function readText(request: PlainRequest): Promise<string> {
  return Buffer.from(await request.arrayBuffer()).toString("utf8");
}

test("path, query, headers and body arrive as they were sent", async () => {
  const headers = { "x-api-key": "k", "content-type": "text/plain" };
  const request = requestOfEvent(toEvent("POST", "/v1/x", { rawQueryString: "a=1&b=%20+", headers, body: '{"é":1}' }));

  expect([request.method, request.url]).toEqual(["POST", "https://gateway/v1/x?a=1&b=%20+"]);
  expect(request.headers.get("x-api-key")).toBe("k");
  expect(request.headers.get("content-length")).toBe("8");
  expect(await readText(request)).toBe('{"é":1}');
});

test("a base64 body is decoded, and its real length counts", async () => {
  const headers = { "content-length": "1" };
  const body = Buffer.from('{"a":1}').toString("base64");

  const request = requestOfEvent(toEvent("DELETE", "/", { body, isBase64Encoded: true, headers }));

  expect(request.headers.get("content-length")).toBe("7");
  expect(await readText(request)).toBe('{"a":1}');
});

test("the host is the edge's header, not the API's host", () => {
  const named = requestOfEvent(toEvent("GET", "/", { headers: { host: api, "x-berth-host": "berth.dev" } }));
  const odd = requestOfEvent(toEvent("GET", "/", { headers: { host: api, "x-berth-host": "a\nb" } }));

  expect([named.headers.get("host"), named.headers.has("x-berth-host")]).toEqual(["berth.dev", false]);
  expect(odd.headers.get("host")).toBe(api);
});

test("cookies arrive in one header, and a cookie is set beside the headers", () => {
  const request = requestOfEvent(toEvent("GET", "/", { cookies: ["a=1", "__Host-berth=x"] }));
  const odd = requestOfEvent(toEvent("GET", "/", { cookies: ["a=1\nb"] }));
  const headers = { "Content-Type": "application/json", "Set-Cookie": "__Host-berth=y; Path=/" };

  const result = resultOfResponse({ status: 200, headers, body: "{}" });

  expect([request.headers.get("cookie"), odd.headers.has("cookie")]).toEqual(["a=1; __Host-berth=x", false]);
  expect(result).toMatchObject({
    cookies: ["__Host-berth=y; Path=/"],
    headers: { "content-type": "application/json" },
  });
  expect(result.headers).not.toHaveProperty("set-cookie");
});

test("a body on GET is dropped", () => {
  expect(requestOfEvent(toEvent("GET", "/", { body: "x" })).body).toBeNull();
});

test("invalid headers are dropped", () => {
  const headers = { "bad name": "x", "x-a": "line\nbreak", "x-b": "\u{1f4a5}", "x-c": "caf\u00e9", "x-d": "" };

  const request = requestOfEvent(toEvent("GET", "/", { headers }));

  expect(Object.keys(headers).filter((name) => request.headers.has(name))).toEqual(["x-c", "x-d"]);
  expect(request.headers.get("X-C")).toBe("caf\u00e9");
});

test.each([
  ["/v1/a?b", "https://gateway/v1/a%3Fb"],
  ["/v1/a#b", "https://gateway/v1/a%23b"],
  ["/v1/a\\b", "https://gateway/v1/a%5Cb"],
  ["/v1/a b\u{1f4a5}", "https://gateway/v1/a%20b%F0%9F%92%A5"],
  ["/v1/\u00fc", "https://gateway/v1/%C3%BC"],
  ["/v1/\ud800", "https://gateway/v1/%EF%BF%BD"],
  ["/v1/100%", "https://gateway/v1/100%25"],
  ["/v1/%41", "https://gateway/v1/%2541"],
  ["/v1/a:b@c", "https://gateway/v1/a:b@c"],
  ["//evil/x", "https://gateway//evil/x"],
  ["", "https://gateway/"],
])("the path %s, which an HTTP API has decoded, is encoded again", (rawPath, url) => {
  expect(requestOfEvent(toEvent("GET", rawPath)).url).toBe(url);
});

test.each([
  ["/v1/%2541", "https://gateway/v1/%2541"],
  ["/v1/a%2Fb%3Fc", "https://gateway/v1/a%2Fb%3Fc"],
  ["/v1/100%25", "https://gateway/v1/100%25"],
  ["/v1/%C3%BC", "https://gateway/v1/%C3%BC"],
  ["/v1/a#b", "https://gateway/v1/a%23b"],
])("the path %s of a function URL is unchanged", (rawPath, url) => {
  expect(requestOfEvent(toEvent("GET", rawPath, { domainName: functionUrl })).url).toBe(url);
});

test.each([
  ["/v1/a%2Fb", "/v1/a/b"],
  ["/v1/a%3Fb", "/v1/a?b"],
  ["/v1/100%25", "/v1/100%"],
  ["/v1/%2541", "/v1/%41"],
  ["/v1/%C3%BC", "/v1/\u00fc"],
])("the path %s is read from the edge's header, not from an HTTP API's decoded one", (sent, rawPath) => {
  const headers = { "x-berth-path": sent };

  const requests = [api, functionUrl].map((domainName) =>
    requestOfEvent(toEvent("GET", rawPath, { domainName, headers })),
  );

  expect(requests.map(({ url }) => url)).toEqual(Array(2).fill(`https://gateway${sent}`));
  expect(requests.some((request) => request.headers.has("x-berth-path"))).toBe(false);
});

test("the key that the edge removed from the path is restored, and the edge's secret is dropped", () => {
  const headers = { "x-berth-key": "a/b?c", "x-berth-origin": "secret" };

  const request = requestOfEvent(toEvent("GET", "/v1/x", { headers }));

  expect(request.url).toBe("https://gateway/k/a%2Fb%3Fc/v1/x");
  expect(request.headers.has("x-berth-origin")).toBe(false);
});

test("an empty key that the edge removed from the path is restored as empty", () => {
  const request = requestOfEvent(toEvent("GET", "/v1/x", { headers: { "x-berth-key": "/" } }));

  expect(request.url).toBe("https://gateway/k//v1/x");
});

test.each([
  ["nothing", undefined],
  ["an event of SQS", { Records: [] }],
  ["payload format 1.0", { ...toEvent("GET", "/"), version: "1.0" }],
  ["no method", { ...toEvent("GET", "/"), requestContext: { domainName: api, http: {} } }],
  ["an invalid path", { ...toEvent("GET", "/"), rawPath: 1 }],
  ["an invalid header", { ...toEvent("GET", "/"), headers: { a: ["b"] } }],
  [
    "a method that fetch refuses",
    { ...toEvent("GET", "/"), requestContext: { domainName: api, http: { method: "TRACE" } } },
  ],
  ["an invalid method", { ...toEvent("GET", "/"), requestContext: { domainName: api, http: { method: "G T" } } }],
])("%s is not an event of a gateway", (_, event) => {
  expect(parseGatewayEvent(event)).toBeUndefined();
});

test("a text answer is sent as text and any other in base64", () => {
  const json = { "Content-Type": "application/json" };
  const headers = { "content-type": "image/png", "x-a": "b" };

  const text = resultOfResponse({ status: 201, headers: json, body: '{"a":1}' });
  const bytes = resultOfResponse({ status: 200, headers, body: new Uint8Array([255, 0]) });

  const lowerCased = { "content-type": "application/json" };
  expect(text).toEqual({ statusCode: 201, headers: lowerCased, body: '{"a":1}', isBase64Encoded: false });
  expect(bytes).toEqual({ statusCode: 200, headers, body: "/wA=", isBase64Encoded: true });
});
