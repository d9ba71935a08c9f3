import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { buildApp } from "./app.ts";
import { loadCatalog } from "./catalog.ts";
import type { Endpoint } from "./endpoint.ts";

function isOpen(endpoint: Endpoint): endpoint is Endpoint<never> {
  return endpoint.public && endpoint.uses.length === 0;
}

test("the catalog contains the declarations of the function files, by name", async () => {
  const { endpoints, fallbacks } = await loadCatalog();

  const health = endpoints.find(({ name }) => name === "shared/health");
  expect(health).toMatchObject({ file: "functions/shared/health.ts", declaration: { path: "/health", method: "get" } });
  expect(fallbacks.map(({ name }) => name)).toEqual(["shared/fallback"]);
  expect(endpoints.map(({ name }) => name).filter((name) => /wire|test|dependencies/.test(name))).toEqual([]);
});

test("the catalog imports the same modules as its other users", async () => {
  const { endpoints } = await loadCatalog();
  const app = buildApp(await fixtureRuntime(), endpoints.map(({ declaration }) => declaration).filter(isOpen));

  const response = await app.request("/docs/nothing.js");

  expect(response.status).toBe(404);
});

test("no two endpoints share a route, and static ones come first", async () => {
  const { endpoints } = await loadCatalog();

  const routes = endpoints.map(
    ({ declaration }) => `${declaration.method} ${declaration.path.replaceAll(/\{\w+\}/g, "\u{ffff}")}`,
  );
  const paths = endpoints.map(({ declaration }) => declaration.path.replaceAll(/\{\w+\}/g, "\u{ffff}"));
  expect(new Set(routes).size).toBe(routes.length);
  expect(paths).toEqual(paths.toSorted((left, right) => (left < right ? -1 : left > right ? 1 : 0)));
});

test("finds endpoints, consumers and schedules in folders, and does not import tests, schemas and internal files", async () => {
  const root = await mkdtemp(join(tmpdir(), "berth-catalog-"));
  const declare = (name: string, kind: string, more = "") =>
    writeFile(join(root, name), `export const ${kind} = { kind: "${kind}", method: "get", ${more} };\n`);
  await mkdir(join(root, "d/things"), { recursive: true });
  await declare("d/things/get.ts", "endpoint", 'path: "/things/{id}"');
  await declare("d/things/list.ts", "endpoint", 'path: "/things/all"');
  await declare("look.ts", "consumer");
  await declare("sweep.ts", "schedule");
  await mkdir(join(root, "d/internal"));
  for (const name of ["d/schemas.ts", "d/x.test.ts", "d/internal/fields.ts"])
    await writeFile(join(root, name), 'throw new Error("imported");\n');

  const catalog = await loadCatalog(pathToFileURL(`${root}/`));

  expect(catalog.endpoints.map(({ name }) => name)).toEqual(["d/things/list", "d/things/get"]);
  expect(catalog.consumers.map(({ name, file }) => [name, file])).toEqual([["look", "functions/look.ts"]]);
  expect(catalog.schedules.map(({ name }) => name)).toEqual(["sweep"]);
  expect(catalog.fallbacks).toEqual([]);
  await rm(root, { recursive: true });
});

test.each([
  ["export const endpoint = 1;", "functions/d/things/plain.ts declares no function: it belongs in d/things/internal/"],
  [
    'export const consumer = { kind: "consumer" }, helper = 1;',
    "functions/d/things/plain.ts exports helper: it belongs in d/things/internal/",
  ],
])("a helper among the functions is refused with its proper place: %s", async (text, reason) => {
  const root = await mkdtemp(join(tmpdir(), "berth-catalog-"));
  await mkdir(join(root, "d/things"), { recursive: true });
  await writeFile(join(root, "d/things/plain.ts"), text);

  const refused = loadCatalog(pathToFileURL(`${root}/`));

  await expect(refused).rejects.toThrow(reason);
  await rm(root, { recursive: true });
});

test("every function file can be imported with an empty environment, and the process then ends by itself", async () => {
  const catalogUrl = new URL("./catalog.ts", import.meta.url);
  const script = `const { loadCatalog } = await import(${JSON.stringify(catalogUrl.href)});
    const { endpoints } = await loadCatalog();
    console.log(endpoints.length > 5);`;
  // Ends a process that would never end, within the test's own limit.
  const options = { env: {}, cwd: fileURLToPath(new URL("../../", import.meta.url)), timeout: 300_000 };

  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "-e", script],
    options,
  );

  expect([stdout, stderr]).toEqual(["true\n", ""]);
});
