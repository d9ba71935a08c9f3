import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { handler } from "./fallback.ts";

const secret = "s".repeat(32);

beforeEach(() => void vi.stubEnv("ORIGIN_SECRETS", secret));
afterEach(() => void vi.unstubAllEnvs());

function toEvent(method: string, rawPath: string) {
  const requestContext = { domainName: "abc123.execute-api.us-east-1.amazonaws.com", http: { method, path: rawPath } };
  return { version: "2.0", rawPath, rawQueryString: "", requestContext, headers: { "x-berth-origin": secret } };
}

test("the fallback knows the routes of all other functions", async () => {
  const wrong = await handler(toEvent("DELETE", "/health"));
  const unknown = await handler(toEvent("GET", "/v1/sessions/x/y/z"));

  expect(wrong).toMatchObject({ statusCode: 405, headers: { allow: "GET" }, body: '{"detail":"Method Not Allowed"}' });
  expect(unknown).toMatchObject({ statusCode: 404, body: '{"detail":"Not Found"}' });
});
