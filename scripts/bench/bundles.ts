import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { loadCatalog } from "#http/catalog.ts";
import { bundleFunction } from "../bundle.ts";
import { type Measure, median, type Row } from "./measure.ts";

const mostBytes = 450_000;
const mostRatio = 1;
const rounds = 11;

/** Has every port that a request path uses but STS. */
const submit = "functions/gpu-dev/jobs/submit.ts";

/** The largest bundle on the request path, and what its import costs beside a bare handler with the same AWS clients. */
export const bundles: Measure = {
  name: "bundles",
  async run() {
    const directory = await mkdtemp(join(tmpdir(), "berth-bench-"));
    try {
      const largest = await largestBundle(directory);
      const { file } = await bundleFunction(submit, join(directory, "submit"));
      const [bare, bareAtInit] = [await bareHandler(directory, "later"), await bareHandler(directory, "at init")];
      const times = await importTimes({ file, bare, bareAtInit });
      const size = { name: "largest request-path bundle", value: largest.bytes, unit: "B", limit: mostBytes };
      return [{ ...size, note: largest.file }, ...ratioRows(times)];
    } finally {
      await rm(directory, { recursive: true });
    }
  },
};

/** Like is held against like: two imports that make nothing, then two inits as on Lambda that make their clients. */
function ratioRows(times: readonly Times[]): Row[] {
  const against = (ours: (one: Times) => number, bare: (one: Times) => number) => ({
    value: median(times.map((one) => ours(one) / bare(one))),
    unit: "×",
    note: `median of ${times.length}; ${median(times.map(ours)).toFixed(0)} ms against ${median(times.map(bare)).toFixed(0)} ms`,
  });
  const imported = against(
    (one) => one.ours,
    (one) => one.bare,
  );
  const init = against(
    (one) => one.oursOnLambda,
    (one) => one.bareOnLambda,
  );
  return [
    { name: "import of submit over a bare handler", ...imported, limit: mostRatio },
    { name: "init on Lambda: clients made, and by us the first Request", ...init },
  ];
}

async function largestBundle(directory: string): Promise<{ readonly file: string; readonly bytes: number }> {
  const { endpoints } = await loadCatalog();
  const sizes = await Promise.all(
    endpoints.map(async ({ name, file }) => ({
      file,
      bytes: (await bundleFunction(file, join(directory, name))).bytes,
    })),
  );
  return sizes.reduce((one, other) => (other.bytes > one.bytes ? other : one));
}

/**
 * What somebody would write without Berth: the stock clients, bundled and minified, made at init or by the first event.
 */
async function bareHandler(directory: string, made: "at init" | "later"): Promise<string> {
  const outfile = join(directory, `bare-${made === "later" ? "later" : "init"}.mjs`);
  const clients = "[DynamoDBDocumentClient.from(new DynamoDBClient({})), new SQSClient({})]";
  const handler =
    made === "later"
      ? `export const handler = async () => ({ statusCode: ${clients}.length });`
      : `const clients = ${clients}; export const handler = async () => ({ statusCode: clients.length });`;
  const contents = `import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
    import { SQSClient } from "@aws-sdk/client-sqs";
    import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
    ${handler}`;
  await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    outfile,
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    target: "node24",
    mainFields: ["module", "main"],
    banner: { js: 'import{createRequire as _cr}from"node:module";const require=_cr(import.meta.url);' },
    logLevel: "silent",
  });
  return outfile;
}

/** Import times in ms, measured one after the other. */
interface Times {
  readonly ours: number;
  readonly bare: number;
  readonly oursOnLambda: number;
  readonly bareOnLambda: number;
}

const identities = {
  LOGIN_SERVER_ID: "berth",
  DOMAIN: "berth.dev",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Dev",
  ORIGIN_SECRETS: "s".repeat(32),
};

/** In turns, so that whatever else the machine does slows down all of them. */
async function importTimes(files: { file: string; bare: string; bareAtInit: string }): Promise<Times[]> {
  const lambda = { SEALER_KEY_ID: "alias/berth", AWS_LAMBDA_FUNCTION_NAME: "berth", ...identities };
  const times: Times[] = [];
  for (let round = 0; round < rounds; round++) {
    times.push({
      ours: await importMs(files.file, {}),
      bare: await importMs(files.bare, {}),
      oursOnLambda: await importMs(files.file, lambda),
      bareOnLambda: await importMs(files.bareAtInit, lambda),
    });
  }
  return times;
}

/** The time that a new process takes to import a module. */
async function importMs(file: string, environment: Record<string, string>): Promise<number> {
  const script = `const begun = performance.now();
    await import(${JSON.stringify(pathToFileURL(file).href)});
    console.log(performance.now() - begun);`;
  const env = {
    ...environment,
    AWS_REGION: "us-east-1",
    TABLE_NAME: "berth",
    AWS_ACCESS_KEY_ID: "none",
    AWS_SECRET_ACCESS_KEY: "none",
    WORK_QUEUE_URL: "http://127.0.0.1:9/0/work",
    POOLS_QUEUE_URL: "http://127.0.0.1:9/0/pools.fifo",
    WEBHOOKS_QUEUE_URL: "http://127.0.0.1:9/0/webhooks",
  };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { env });
  return Number(stdout);
}
