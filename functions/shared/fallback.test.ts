import { expect, test } from "vitest";
import { handler } from "./fallback.ts";

function eventOf(method: string, rawPath: string) {
  return { rawPath, rawQueryString: "", requestContext: { http: { method } } };
}

test("it knows the routes of all other functions", async () => {
  const wrong = await handler(eventOf("DELETE", "/health"));
  const unknown = await handler(eventOf("GET", "/v1/sessions/x/y/z"));

  expect(wrong).toMatchObject({ statusCode: 405, headers: { allow: "GET" }, body: '{"detail":"Method Not Allowed"}' });
  expect(unknown).toMatchObject({ statusCode: 404, body: '{"detail":"Not Found"}' });
});
