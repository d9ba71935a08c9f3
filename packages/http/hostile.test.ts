import fc from "fast-check";
import { expect, test } from "vitest";
import { asAlice, fixtureRuntime, things } from "#tests/worlds/fixture-endpoints.ts";
import { buildApp } from "./app.ts";

const app = buildApp(await fixtureRuntime(), Object.values(things));

const methods = fc.constantFrom("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW");
const unit = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string(),
  fc.constantFrom("%", "%00", "%ff", "..", "{id}", "?"),
);
const path = fc
  .tuple(fc.constantFrom("/", "/v1/", "/v1/things/", "/v1/things", "/api/", "/api/v1/", "/session/"), unit)
  .map((parts) => parts.join(""));
const header = fc.string({ unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)) });
const headers = fc.record({ "X-Request-ID": header, "X-API-Key": header, "Content-Type": header, Accept: header });

test("no malformed request is answered 5xx, and each answer is one JSON envelope", async () => {
  await fc.assert(
    fc.asyncProperty(methods, path, headers, fc.boolean(), async (method, at, odd, hasKey) => {
      const response = await app.request(`http://x${at}`, { method, headers: { ...odd, ...(hasKey && asAlice) } });

      expect(response.status).toBeLessThan(500);
      expect(response.headers.get("cache-control")).toBe("no-store");
      if (method !== "HEAD" && response.headers.get("content-type") === "application/json") await response.json();
    }),
    { numRuns: 500 },
  );
});

const names = fc.constantFrom(
  "name",
  "kind",
  "hours",
  "size",
  "label",
  "disk",
  "env_vars",
  "api_key",
  "pair",
  "__proto__",
);
const anyBody = fc.oneof(
  fc.json(),
  fc.dictionary(names, fc.jsonValue()).map((value) => JSON.stringify(value)),
  fc.string(),
);

test("arbitrary bodies are accepted or refused with 400, never with a secret or more than 16 KB", async () => {
  await fc.assert(
    fc.asyncProperty(anyBody, async (body) => {
      const response = await app.request("/v1/things/make", { method: "POST", headers: asAlice, body });

      const text = await response.text();
      expect([200, 400]).toContain(response.status);
      expect(Buffer.byteLength(text)).toBeLessThan(16_384);
      expect(text).not.toMatch(/ at .*\.ts:\d+/);
    }),
    { numRuns: 1_000 },
  );
});

test("no answer repeats a value of env_vars or of a secret field", async () => {
  await fc.assert(
    fc.asyncProperty(fc.dictionary(names, fc.jsonValue()), async (fields) => {
      const secrets = { env_vars: { A: "hunter2hunter2", b: ["hunter2hunter2"] }, api_key: "hunter2" };
      const body = JSON.stringify({ ...fields, ...secrets });
      const response = await app.request("/v1/things/make", { method: "POST", headers: asAlice, body });

      expect(response.status).toBe(400);
      expect(await response.text()).not.toContain("hunter2");
    }),
    { numRuns: 300 },
  );
});
