import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { loopbackServer } from "#kubernetes/fixtures/loopback-fixture.ts";
import { bundleFunction, bundleFunctions } from "./bundle.ts";

let outdir: string;

beforeAll(async () => {
  outdir = await mkdtemp(join(tmpdir(), "berth-bundle-"));
});

afterAll(async () => {
  await rm(outdir, { recursive: true });
});

const settings = {
  TABLE_NAME: "berth",
  LOGIN_SERVER_ID: "berth",
  DOMAIN: "berth.dev",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Dev",
  ORIGIN_SECRETS: "s".repeat(32),
  SEALER_KEY_ID: "alias/berth",
};

async function invoke(file: string, method: string, rawPath: string) {
  const headers = { "x-berth-origin": settings.ORIGIN_SECRETS };
  const requestContext = { domainName: "abc123.execute-api.us-east-1.amazonaws.com", http: { method } };
  const event = { version: "2.0", rawPath, rawQueryString: "", headers, requestContext };
  const script = `const { handler } = await import(${JSON.stringify(pathToFileURL(file).href)});
    const log = process.stdout.write;
    process.stdout.write = () => true;
    const result = await handler(${JSON.stringify(event)});
    const undici = process.moduleLoadList.some((name) => name.includes("undici"));
    log.call(process.stdout, JSON.stringify({ ...result, undici }));`;
  const env = {
    ...settings,
    AWS_LAMBDA_FUNCTION_NAME: "berth",
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "none",
    AWS_SECRET_ACCESS_KEY: "none",
    // No program listens on the discard port.
    AWS_ENDPOINT_URL_DYNAMODB: "http://127.0.0.1:9",
    AWS_ENDPOINT_URL_SQS: "http://127.0.0.1:9",
    WORK_QUEUE_URL: "http://127.0.0.1:9/0/work",
    POOLS_QUEUE_URL: "http://127.0.0.1:9/0/pools.fifo",
    WEBHOOKS_QUEUE_URL: "http://127.0.0.1:9/0/webhooks",
  };
  const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { env, cwd: outdir });
  return JSON.parse((await run).stdout);
}

test("a function with table and queue is at most 450 kB, and answers an event on its own", async () => {
  const { file, bytes } = await bundleFunction("functions/shared/health.ts", outdir);

  const result = await invoke(file, "GET", "/health");

  expect(bytes).toBeLessThanOrEqual(450_000);
  expect(result.statusCode).toBe(503);
  expect(JSON.parse(result.body)).toMatchObject({ database: "unhealthy", queue: "unhealthy", isolation: "container" });
});

test.each([
  ["functions/gpu-dev/jobs/submit.ts", "POST", "/v1/jobs/submit", 401],
  ["functions/gpu-dev/jobs/list.ts", "GET", "/v1/jobs", 401],
  ["functions/shared/fallback.ts", "GET", "/v1/nothing", 404],
])("%s answers without undici, which is a quarter of an init", async (file, method, path, statusCode) => {
  const bundle = await bundleFunction(file, join(outdir, "plain"));

  const result = await invoke(bundle.file, method, path);

  expect(result).toMatchObject({ statusCode, undici: false });
});

test.each([
  "functions/gpu-dev/jobs/submit.ts",
  "functions/novita/instances/create.ts",
  "functions/gpu-dev/disks/rename.ts",
  "functions/onmemos/workspaces/execute.ts",
  "functions/onmemos/sessions/execute.ts",
  "functions/onmemos/workspaces/runpython.ts",
  "functions/onmemos/workspaces/runsh.ts",
])("%s, one of the largest, is at most 450 kB", async (largest) => {
  const { bytes } = await bundleFunction(largest, join(outdir, "largest"));

  expect(bytes).toBeLessThanOrEqual(450_000);
});

test("a bundle's WebSocket client sends and reads like the whole library", async () => {
  const sockets = new WebSocketServer({ noServer: true });
  const server = await loopbackServer(
    (_, response) => response.end(),
    {},
    (request, socket, head) => {
      sockets.handleUpgrade(request, socket, head, (opened) => opened.on("message", (data) => opened.send(data)));
    },
  );
  const { file } = await bundleFunction("packages/kubernetes/client/socket.ts", join(outdir, "socket"));
  const { openSocket } = (await import(pathToFileURL(file).href)) as typeof import("#kubernetes/client/socket.ts");

  const socket = await openSocket(server.access, "/exec", "v5.channel.k8s.io", AbortSignal.timeout(60_000));
  const echoed = once(socket, "message");
  socket.resume();
  const sent = randomBytes(300_000);
  socket.send(sent);

  const [data] = await echoed;
  expect(sent.equals(data)).toBe(true);
  socket.terminate();
  await server.close();
});

test("a function validates requests without zod's document generator", async () => {
  const { file } = await bundleFunction("functions/gpu-dev/auth/aws-login.ts", join(outdir, "login"));

  const result = await invoke(file, "POST", "/v1/auth/aws-login");

  expect(result.statusCode).toBe(400);
  const text = await readFile(file, "utf8");
  expect(
    ["cannot be represented in JSON Schema", "json-schema.org/draft"].filter((part) => text.includes(part)),
  ).toEqual([]);
});

test.each([
  ["functions/gpu-dev/jobs/submit.ts", ["submitJob", "/v1/jobs/submit"], "training-v1"],
  ["functions/gpu-dev/jobs/get.ts", ["getJob", "/v1/jobs/{job_id}"], "training-run"],
  ["functions/dev8/environments/create.ts", ["createEnvironment", "/api/v1/environments"], "John Doe"],
  ["functions/onmemos/workspaces/runsh.ts", ["runShellInWorkspace", "/runsh"], "total 0"],
])("the bundle of %s has its route, and nothing that only openapi.json needs", async (file, route, shownValue) => {
  const bundle = await bundleFunction(file, join(outdir, "route"));
  const text = await readFile(bundle.file, "utf8");
  const { components, paths } = JSON.parse(await readFile("openapi.json", "utf8"));
  const schemas: { properties?: Record<string, { description?: string }> }[] = Object.values(components.schemas);
  const words = schemas.flatMap(({ properties = {} }) =>
    Object.values(properties).map(({ description = "" }) => description),
  );
  const titles = [...JSON.stringify(paths).matchAll(/"summary":"([^"]+)","value":/g)].map(([, title = ""]) => title);
  const isHeld = (part: string) => part.length > 16 && text.includes(part);

  expect(route.filter((part) => !text.includes(part))).toEqual([]);
  expect([words.length > 400, titles.length > 120]).toEqual([true, true]);
  expect([...new Set([...words, ...titles])].filter(isHeld)).toEqual([]);
  expect([JSON.stringify(paths).includes(shownValue), text.includes(shownValue)]).toEqual([true, false]);
  expect(text).not.toMatch(/getOpenAPI31Document|OpenAPIRegistry|getRoutingPath/);
});

test("no bundle can hold the generator of openapi.json", async () => {
  const bundling = bundleFunction("scripts/openapi/openapi-document.ts", join(outdir, "generator"));

  await expect(bundling).rejects.toThrow('"OpenAPIHono"');
});

test("a function imports no whole Node module, and contains no schema of other events", async () => {
  const { file } = await bundleFunction("functions/gpu-dev/jobs/cancel.ts", join(outdir, "cancel"));
  const text = await readFile(file, "utf8");

  expect(text.match(/\b(?:from|import) ?"[\w:/]+"/g) ?? []).toEqual([]);
  expect(text.match(/getBuiltinModule\("node:crypto"\)|SentTimestamp/g)).toEqual(['getBuiltinModule("node:crypto")']);
});

test("a function that reads assets finds them beside its bundle", async () => {
  const asset = await bundleFunction("functions/shared/docs-asset.ts", join(outdir, "asset"));
  const fallback = await bundleFunction("functions/shared/fallback.ts", join(outdir, "fallback"));

  const css = await invoke(asset.file, "GET", "/docs/swagger-ui.css");
  const wrong = await invoke(fallback.file, "POST", "/live");

  expect([css.statusCode, css.isBase64Encoded]).toEqual([200, false]);
  expect(css.body).toContain(".swagger-ui");
  expect([wrong.statusCode, wrong.headers.allow]).toEqual([405, "GET"]);
});

test("the functions of the command line contain its tarball, and report the same SHA-256", async () => {
  const cli = await bundleFunction("functions/shared/cli.ts", join(outdir, "cli"));
  const discovery = await bundleFunction("functions/shared/discovery.ts", join(outdir, "discovery"));

  const tarball = await invoke(cli.file, "GET", "/cli/berth.tgz");
  const found = JSON.parse((await invoke(discovery.file, "GET", "/.well-known/berth")).body);

  const sha256 = createHash("sha256").update(Buffer.from(tarball.body, "base64")).digest("hex");
  expect([tarball.statusCode, tarball.isBase64Encoded]).toEqual([200, true]);
  expect(found.cli).toMatchObject({ path: "/cli/berth.tgz", sha256 });
  expect(tarball.body.length).toBeLessThan(6_000_000);
  const schema = await invoke(cli.file, "GET", "/cli/berth.schema.json");
  expect(JSON.parse(schema.body)).toMatchObject({ additionalProperties: false });
});

test("only a function that reads assets contains them", async () => {
  const { file, bytes } = await bundleFunction("functions/shared/live.ts", join(outdir, "live"));

  expect(bytes).toBeLessThan(200_000);
  await expect(stat(join(outdir, "live", "assets"))).rejects.toMatchObject({ code: "ENOENT" });
  expect((await stat(`${file}.map`)).size).toBeGreaterThan(bytes);
});

test("one run gives each function its own directory, without source maps", async () => {
  const [dist, maps] = [join(outdir, "dist"), join(outdir, "dist-maps")];
  const functions = ["shared/live", "shared/fallback"].map((name) => ({ name, file: `functions/${name}.ts` }));

  const bundles = await bundleFunctions(functions, { outdir: dist, mapsdir: maps });
  const wrong = await invoke(bundles[1]?.file ?? "", "POST", "/live");

  expect(await readdir(join(dist, "shared/live"))).toEqual(["index.mjs"]);
  expect(await readdir(join(dist, "shared/fallback/assets"))).toEqual(["functions.json"]);
  expect(await readdir(join(maps, "shared/live"))).toEqual(["index.mjs.map"]);
  expect([wrong.statusCode, wrong.headers.allow]).toEqual([405, "GET"]);
});

test("bundling for a deployment refuses a function without a handler", async () => {
  const wire = { name: "socket/wire", file: "functions/socket/schemas.ts" };

  const bundling = bundleFunctions([wire], { outdir: join(outdir, "wire"), mapsdir: join(outdir, "wire-maps") });

  await expect(bundling).rejects.toThrow("functions/socket/schemas.ts exports no handler");
});

test("test machinery is never bundled", async () => {
  const catalog = { name: "fixture", file: "packages/local/fixture-catalog.ts" };
  const world = "tests/worlds/http-world.ts";

  const bundling = bundleFunctions([catalog], {
    outdir: join(outdir, "fixture"),
    mapsdir: join(outdir, "fixture-maps"),
  });

  await expect(bundling).rejects.toThrow("code that must not ship: packages/local/fixture-catalog.ts");
  await expect(bundleFunction(world, join(outdir, "world"))).rejects.toThrow(world);
});
