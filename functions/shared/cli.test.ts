import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { buildApp } from "#http/app.ts";
import type { CliPackage } from "#http/cli-package.ts";
import { testCliPackage } from "#tests/fixtures/cli-package.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { endpoint } from "./cli.ts";

type FindPackage = () => CliPackage | undefined;

async function get(path: string, headers: Record<string, string> = {}, cli: FindPackage = testCliPackage) {
  const runtime = await fixtureRuntime();
  return buildApp({ ...runtime, deployment: { ...runtime.deployment, cli } }, [endpoint]).request(path, { headers });
}

test("the tarball and its SHA-256 are served under one tag, byte for byte", async () => {
  const [tarball, sum] = [await get("/cli/berth.tgz"), await get("/cli/berth.tgz.sha256")];

  const bytes = new Uint8Array(await tarball.arrayBuffer());
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  expect(bytes).toEqual(new Uint8Array(testCliPackage().bytes));
  expect(await sum.text()).toBe(`${sha256}  berth.tgz\n`);
  expect([tarball, sum].map(({ headers }) => [headers.get("content-type"), headers.get("etag")])).toEqual([
    ["application/gzip", `"${sha256}"`],
    ["text/plain; charset=utf-8", `"${sha256}"`],
  ]);
});

test("a client that has the tarball gets 304", async () => {
  const { sha256 } = testCliPackage();
  const same = await get("/cli/berth.tgz", { "if-none-match": `"${sha256}"` });
  const otherResponse = await get("/cli/berth.tgz", { "if-none-match": `"${sha256.replace(/./, "x")}"` });

  expect([same.status, await same.text(), otherResponse.status]).toEqual([304, "", 200]);
});

test("the schema of berth.yaml is served under its own tag, also by a deployment without the tarball", async () => {
  const answer = await get("/cli/berth.schema.json", {}, () => undefined);
  const etag = answer.headers.get("etag") ?? "";

  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(await answer.text()).toBe(readFileSync("packages/cli/berth.schema.json", "utf8"));
  expect((await get("/cli/berth.schema.json", { "if-none-match": etag })).status).toBe(304);
  expect(etag).not.toContain(testCliPackage().sha256);
});

test.each([
  "/cli/berth.schema.json/x",
  "/cli/schema.json",
  "/cli/berth.schema.json%00",
  "/cli/nothing.tgz",
  "/cli/..%2fpackage.json",
  "/cli/",
  "/cli/berth.tgz/x",
])("%s is not found", async (path) => {
  expect((await get(path)).status).toBe(404);
});

test("a deployment without the tarball reports that", async () => {
  expect((await get("/cli/berth.tgz", {}, () => undefined)).status).toBe(404);
});
