import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { FunctionEntry, FunctionsFile } from "../../stacks/compute/functions-file.ts";
import { ACCOUNT, REGION } from "../synthesis/cloud.ts";
import type { Resource } from "../synthesis/synthesize.ts";
import { keyOfRole } from "./role-keys.ts";
import type { LambdaFunction } from "./runtime/environment.ts";
import { type RunningFunction, runFunction } from "./runtime/function.ts";
import type { ServiceVariables } from "./runtime/services.ts";

/** Why this machine cannot run zips, or undefined. */
export const UNZIP_MISSING = spawnSync("unzip", ["-v"]).status === 0 ? undefined : "this machine has no unzip";

/** The synthesized functions of a stage. Each runs from the zip that would be uploaded. */
export interface DeployedFunctions {
  readonly entries: FunctionsFile;
  entryOf(arnOrName: string): FunctionEntry;
  /** Finds a function by its ARN, its name on AWS or its name in functions.json. */
  named(name: string): RunningFunction;
  filesOf(name: string): Promise<string[]>;
  variablesOf(name: string): Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

/** Unpacks the zips in .sst/artifacts, read-only. `services` has the addresses of the fake AWS services. */
export async function deployFunctions(
  resources: readonly Resource[],
  entries: FunctionsFile,
  services: ServiceVariables = { endpoints: {}, addresses: {}, hosts: {} },
): Promise<DeployedFunctions> {
  const place = await mkdtemp(join(tmpdir(), "berth-zips-"));
  const made = resources.filter(({ type, read: result }) => type === "aws:lambda/function:Function" && !result);
  const functionsByName = new Map<string, Known>();
  for (const { name, inputs } of made) {
    const logical = name.replace(/Function$/, "");
    const directory = join(place, logical);
    await run("unzip", ["-q", join(root, ".sst/artifacts", logical, "code.zip"), "-d", directory]);
    const entry = entries.find((each) => inputs.loggingConfig.logGroup.endsWith(`/${each.name}`));
    if (!entry) throw new Error(`${name} is not in functions.json`);
    const definition = getDefinition(inputs, directory, services);
    const item = { entry, definition, running: runFunction(definition) };
    for (const key of [entry.name, definition.name, definition.arn]) functionsByName.set(key, item);
  }
  await run("chmod", ["-R", "a-w", place]);
  const knownAs = (name: string) => functionsByName.get(name) ?? refuse(name);
  return {
    entries,
    entryOf: (name) => knownAs(name).entry,
    named: (name) => knownAs(name).running,
    filesOf: (name) => filesIn(knownAs(name).definition.directory),
    variablesOf: (name) => knownAs(name).definition.environment,
    async stop() {
      await Promise.all([...new Set(functionsByName.values())].map(({ running }) => running.stop()));
      await run("chmod", ["-R", "u+w", place]);
      await rm(place, { recursive: true, force: true });
    },
  };
}

async function filesIn(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found
    .filter((each) => each.isFile())
    .map(({ parentPath, name }) => relative(directory, join(parentPath, name)));
}

interface Known {
  readonly entry: FunctionEntry;
  readonly definition: LambdaFunction;
  readonly running: RunningFunction;
}

function getDefinition(inputs: Resource["inputs"], directory: string, services: ServiceVariables): LambdaFunction {
  const { variables } = inputs.environment;
  const addresses = Object.fromEntries(Object.entries(services.addresses).filter(([name]) => name in variables));
  return {
    name: inputs.name,
    arn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${inputs.name}`,
    directory,
    handler: inputs.handler,
    memoryMb: inputs.memorySize,
    timeoutSeconds: inputs.timeout,
    logGroup: inputs.loggingConfig.logGroup,
    hosts: services.hosts,
    environment: { ...variables, ...addresses, ...services.endpoints },
    credentials: keyOfRole(inputs.role),
  };
}

function refuse(name: string): never {
  throw new Error(`There is no function ${name}`);
}
