import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { ensureKeyFile } from "#aws/sealer.ts";
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
      const times = await importTimes({ file, bare: await bareHandler(directory), directory });
      const size = { name: "largest request-path bundle", value: largest.bytes, unit: "B", limit: mostBytes };
      return [{ ...size, note: largest.file }, ...ratioRows(times)];
    } finally {
      await rm(directory, { recursive: true });
    }
  },
};

/** On Lambda an import also makes the clients and the first Request (undici); elsewhere it only evaluates modules. */
function ratioRows(times: readonly Times[]): Row[] {
  const against = (ours: (one: Times) => number) => ({
    value: median(times.map((one) => ours(one) / one.bare)),
    unit: "×",
    note: `median of ${times.length}; ${median(times.map(ours)).toFixed(0)} ms against ${median(times.map((one) => one.bare)).toFixed(0)} ms`,
  });
  return [
    { name: "import of submit on Lambda over a bare handler", ...against((one) => one.onLambda), limit: mostRatio },
    { name: "the same without clients and first Request", ...against((one) => one.elsewhere) },
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

/** What somebody would write without Berth: the stock clients, bundled and minified, and an empty answer. */
async function bareHandler(directory: string): Promise<string> {
  const outfile = join(directory, "bare.mjs");
  const contents = `import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
    import { SQSClient } from "@aws-sdk/client-sqs";
    import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
    const clients = [DynamoDBDocumentClient.from(new DynamoDBClient({})), new SQSClient({})];
    export const handler = async () => ({ statusCode: clients.length });`;
  await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    outfile,
    ...{ bundle: true, minify: true, platform: "node", format: "esm", target: "node24" },
    mainFields: ["module", "main"],
    banner: { js: 'import{createRequire as _cr}from"node:module";const require=_cr(import.meta.url);' },
    logLevel: "silent",
  });
  return outfile;
}

/** Import times in ms, measured one after the other. */
interface Times {
  readonly onLambda: number;
  readonly elsewhere: number;
  readonly bare: number;
}

/** In turns, so that whatever else the machine does slows down all of them. */
async function importTimes(files: { file: string; bare: string; directory: string }): Promise<Times[]> {
  const keyFile = join(files.directory, "sealer.key");
  ensureKeyFile(keyFile);
  const lambda = { SEALER_KEY_FILE: keyFile, AWS_LAMBDA_FUNCTION_NAME: "berth" };
  const times: Times[] = [];
  for (let round = 0; round < rounds; round++) {
    const onLambda = await importMs(files.file, lambda);
    const bare = await importMs(files.bare, lambda);
    const elsewhere = await importMs(files.file, {});
    times.push({ onLambda, bare, elsewhere });
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
    ...{ AWS_REGION: "us-east-1", TABLE_NAME: "berth", AWS_ACCESS_KEY_ID: "none", AWS_SECRET_ACCESS_KEY: "none" },
    ...{ WORK_QUEUE_URL: "http://127.0.0.1:9/0/work", POOLS_QUEUE_URL: "http://127.0.0.1:9/0/pools.fifo" },
  };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { env });
  return Number(stdout);
}
