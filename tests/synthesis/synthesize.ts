import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

export interface Resource {
  readonly type: string;
  readonly name: string;
  readonly read: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: each type of resource has inputs of its own
  readonly inputs: Record<string, any>;
  /** Dependencies as `<type> <name>`. */
  readonly after: readonly string[];
  /** Pulumi forgets the resource without deleting it. */
  readonly retained?: boolean;
  /** Pulumi refuses to delete the resource. */
  readonly isProtected?: boolean;
  /** Inputs whose changes Pulumi does not deploy. */
  readonly ignored?: readonly string[];
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const platform = join(root, ".sst/platform");

/**
 * Returns all resources of a stage, by type and name. Builds and runs sst.config.ts with SST's components and a fake
 * cloud. Throws the error that a deployment would fail with.
 */
export async function synthesize(stage: string, settings: Settings): Promise<Resource[]> {
  return await runProgram("program.ts", stage, settings, [join(platform, "src/shim/run.js")]);
}

/** Does the same for the cluster of a stage, and what is created in it. Costs a tenth of it. */
export async function synthesizeCluster(stage: string, settings: Settings): Promise<Resource[]> {
  return await runProgram("cluster-program.ts", stage, settings, []);
}

type Settings = Readonly<Record<string, string>>;

async function runProgram(source: string, stage: string, settings: Settings, inject: string[]): Promise<Resource[]> {
  // Node resolves SST's packages from there.
  const program = join(platform, `synthesis-${stage}.mjs`);
  const found = join(platform, `synthesis-${stage}.json`);
  const isProduction = stage === "production";
  const app = {
    name: "berth",
    stage,
    removal: isProduction ? "retain" : "remove",
    protect: isProduction,
    providers: {},
  };
  const paths = { home: join(root, ".sst"), root, work: join(root, ".sst"), platform };
  await build({
    entryPoints: [join(root, "tests/synthesis", source)],
    outfile: program,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node24",
    define: {
      $app: JSON.stringify(app),
      $cli: JSON.stringify({ command: "deploy", dev: false, paths, state: { version: {} } }),
      $dev: "false",
    },
    inject,
    banner: { js: 'import{createRequire as _cr}from"node:module";const require=_cr(import.meta.url);' },
    logLevel: "silent",
  });
  const { PATH = "" } = process.env;
  const secrets = { SST_SECRET_OriginSecrets: "s".repeat(32), SST_SECRET_WebhookSecret: "webhook-secret" };
  try {
    await promisify(execFile)(process.execPath, [program, found], {
      env: { PATH, ...secrets, ...settings },
      cwd: root,
    });
    const resources = JSON.parse(await readFile(found, "utf8")) as Resource[];
    return resources.toSorted((left, right) => (formatKey(left) < formatKey(right) ? -1 : 1));
  } finally {
    await Promise.all([rm(program, { force: true }), rm(found, { force: true })]);
  }
}

function formatKey({ type, name }: Resource): string {
  return `${type} ${name}`;
}
