import { expect, test } from "vitest";
import { buildApp } from "#http/app.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { endpoint as docs } from "./docs.ts";
import { endpoint as asset } from "./docs-asset.ts";
import { endpoint as openapi } from "./openapi.ts";

async function get(path: string): Promise<Response> {
  return buildApp(await fixtureRuntime(), [docs, asset, openapi]).request(path);
}

test("all files of the page are served by Berth itself", async () => {
  const page = await get("/docs");
  const html = await page.text();

  const named = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address ?? "");
  const files = named.filter((address) => !address.startsWith("data:"));
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(files).toHaveLength(3);
  for (const file of files) {
    const response = await get(new URL(file, "http://host/docs").pathname);
    expect([file, response.status]).toEqual([file, 200]);
    expect(response.headers.get("content-type")).toBe(
      file.endsWith(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8",
    );
  }
  expect(html).not.toMatch(/(?:https?:)?\/\//);
});

test("the page may load nothing from other hosts", async () => {
  const { headers } = await get("/docs");

  const policy = headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("cache-control")).toBe("no-store");
});

test("the page opens Berth's own document and calls no validator", async () => {
  const script = await (await get("/docs/start.js")).text();

  expect(script).toContain('url: "openapi.json"');
  expect(script).toContain("validatorUrl: null");
});

test.each(["/docs/nothing.js", "/docs/..%2f..%2fpackage.json", "/docs/package.json", "/docs/"])(
  "%s is not found",
  async (path) => {
    const response = await get(path);

    expect([response.status, await response.text()]).toEqual([404, '{"detail":"Not Found"}']);
  },
);

test("the document is OpenAPI 3.1 and contains every public endpoint", async () => {
  const response = await get("/openapi.json");

  const document = JSON.parse(await response.text());
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(document.openapi).toBe("3.1.0");
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining(["/", "/health", "/live", "/ready", "/v1/auth/aws-login"]),
  );
});
