import { expect, test } from "vitest";
import { type GatewayEvent, requestOfEvent, resultOfResponse } from "./gateway.ts";

function eventOf(method: string, rawPath: string, parts: Partial<GatewayEvent> = {}): GatewayEvent {
  return { rawPath, rawQueryString: "", requestContext: { http: { method } }, ...parts };
}

test("path, query, headers and body arrive as they were sent", async () => {
  const headers = { "x-api-key": "k", "content-type": "text/plain" };
  const request = requestOfEvent(eventOf("POST", "/v1/x", { rawQueryString: "a=1&b=%20+", headers, body: '{"é":1}' }));

  expect([request.method, request.url]).toEqual(["POST", "https://gateway/v1/x?a=1&b=%20+"]);
  expect(request.headers.get("x-api-key")).toBe("k");
  expect(request.headers.get("content-length")).toBe("8");
  expect(await request.text()).toBe('{"é":1}');
});

test("a body in base64 is decoded, and its real length counts", async () => {
  const headers = { "content-length": "1" };
  const body = Buffer.from('{"a":1}').toString("base64");

  const request = requestOfEvent(eventOf("DELETE", "/", { body, isBase64Encoded: true, headers }));

  expect(request.headers.get("content-length")).toBe("7");
  expect(await request.text()).toBe('{"a":1}');
});

test("a body on GET is left out", () => {
  expect(requestOfEvent(eventOf("GET", "/", { body: "x" })).body).toBeNull();
});

test("garbage in headers is left out instead of failing", () => {
  const headers = { "bad name": "x", "x-a": "line\nbreak", "x-b": "\u{1f4a5}", "x-c": "caf\u00e9", "x-d": "" };

  const request = requestOfEvent(eventOf("GET", "/", { headers }));

  expect([...request.headers.keys()].sort()).toEqual(["x-c", "x-d"]);
});

test.each([
  ["/v1/a?b", "https://gateway/v1/a%3Fb"],
  ["/v1/a#b", "https://gateway/v1/a%23b"],
  ["/v1/a\\b", "https://gateway/v1/a%5Cb"],
  ["/v1/a b\u{1f4a5}", "https://gateway/v1/a%20b%F0%9F%92%A5"],
  ["/v1/100%", "https://gateway/v1/100%"],
  ["//evil/x", "https://gateway//evil/x"],
  ["", "https://gateway/"],
])("the decoded path %s stays one path", (rawPath, url) => {
  expect(requestOfEvent(eventOf("GET", rawPath)).url).toBe(url);
});

test("text is answered as text and anything else in base64", async () => {
  const headers = { "content-type": "image/png", "x-a": "b" };

  const text = await resultOfResponse(Response.json({ a: 1 }, { status: 201 }));
  const bytes = await resultOfResponse(new Response(new Uint8Array([255, 0]), { headers }));

  expect(text).toMatchObject({ statusCode: 201, body: '{"a":1}', isBase64Encoded: false });
  expect(bytes).toEqual({ statusCode: 200, headers, body: "/wA=", isBase64Encoded: true });
});
