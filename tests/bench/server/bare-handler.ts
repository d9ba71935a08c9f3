import { execFile } from "node:child_process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

export type StockClient = keyof typeof clients;

const clients = {
  dynamoDb: {
    imports: `import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
      import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";`,
    made: "DynamoDBDocumentClient.from(new DynamoDBClient({}))",
  },
  sqs: { imports: 'import { SQSClient } from "@aws-sdk/client-sqs";', made: "new SQSClient({})" },
  ec2: { imports: 'import { EC2Client } from "@aws-sdk/client-ec2";', made: "new EC2Client({})" },
};

export interface BareHandler {
  readonly outfile: string;
  readonly uses: readonly StockClient[];
  readonly made: "at init" | "later";
}

/**
 * Writes the handler of a function without Berth: bundled, minified stock clients, created at init or by the first
 * event.
 */
export async function writeBareHandler({ outfile, uses, made }: BareHandler): Promise<void> {
  const all = `[${uses.map((name) => clients[name].made).join(", ")}]`;
  const handler =
    made === "later"
      ? `export const handler = async () => ({ statusCode: ${all}.length });`
      : `const clients = ${all}; export const handler = async () => ({ statusCode: clients.length });`;
  const contents = `${uses.map((name) => clients[name].imports).join("\n")}\n${handler}`;
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
}

/** Variables that functions on Lambda read at init. */
export const onLambda = {
  LOGIN_SERVER_ID: "berth",
  DOMAIN: "berth.dev",
  ALLOWED_ACCOUNTS: "111111111111",
  ALLOWED_ROLES: "Dev",
  ORIGIN_SECRETS: "s".repeat(32),
  SEALER_KEY_ID: "alias/berth",
  BLOBS_BUCKET: "berth-blobs",
  EKS_CLUSTER: "berth",
  SHELL_QUEUE_URL: "http://127.0.0.1:9/0/shell.fifo",
  SOCKET_API_URL: "http://127.0.0.1:9/socket",
  AWS_LAMBDA_FUNCTION_NAME: "berth",
};

export async function importMs(file: string, environment: Readonly<Record<string, string>>): Promise<number> {
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
