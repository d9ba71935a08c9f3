import { registerHooks } from "node:module";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { closeInherited } from "#local/inherited.ts";
import { printableError } from "#local/printable.ts";

/** The modules with clients of AWS that functions import, and what each one makes. */
const awsPorts = {
  "#aws/table.ts": "table",
  "#aws/queue.ts": "queue",
  "#aws/socket-gateway.ts": "socketGateway",
  "#aws/ebs-volumes.ts": "volumes",
  "#lambda/request-compute.ts": "compute",
  "#lambda/schedule-compute.ts": "compute",
  "#lambda/look-compute.ts": "compute",
  "#lambda/look-volumes.ts": "volumes",
};

closeInherited();
/** Runs the local stack until SIGTERM or Ctrl-C. */
const stopping = waitForSignal();
leaveOut();
findOwnModules();
const isCompileOnly = process.argv.includes("--compile-only");
// Other processes try it, for nearly as long as it takes to load all the rest.
const { findIsolation } = await import("#process/isolation-probe.ts");
const isElsewhere = process.env.COMPUTE === "kubernetes";
const isolation = isCompileOnly || isElsewhere ? undefined : findIsolation();
const [{ startStack }, { stackOutput }, { loadCatalog }] = await Promise.all([
  import("#local/stack.ts"),
  import("#local/stack-output.ts"),
  import("#http/catalog.ts"),
]);
const catalog = await loadCatalog();
// Asked by start.mjs, which has the rest of the words.
if (isCompileOnly) process.exit(0);
// Environments must not die because nobody reads the log any more (`npm start | head`).
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
const { output, stack } = await start().catch(fail);
output.started(stack, resolve(".berth"));

await stopping;
const isCluster = stack.cluster !== undefined;
// Whatever hangs: the promise is that nothing is left after 2 s. A cluster keeps its environments, and its server may
// be slow.
setTimeout(() => process.exit(1), isCluster ? 10_000 : 1_950).unref();
output.stopping(await Promise.race([stack.running(), sleep(300, undefined)]).catch(() => undefined), isCluster);
await stack.stop();
output.stopped(stack.home, isCluster);
process.exit(0);

async function start() {
  const written = stackOutput(process.env, { lines: process.stdout, notes: process.stderr });
  const { log, onNews } = written;
  const ending = new AbortController();
  void stopping.then(() => ending.abort());
  const { signal } = ending;
  const options = { environment: process.env, log, onNews, catalog, isolation, signal };
  return { output: written, stack: await startStack(options) };
}

/**
 * The local stack has ports of its own: the clients of DynamoDB, SQS, EC2 and EKS would be a seventh of the start and
 * 20 MB. The texts of zod in fifty languages, 5 MB, are shown to nobody.
 */
function leaveOut(): void {
  const clients = Object.entries(awsPorts).map(([module, port]): [string, string] => [
    import.meta.resolve(module),
    `export const ${port} = () => { throw new Error("The local stack has a ${port} of its own"); };`,
  ]);
  const locales = new URL("v4/locales/index.js", import.meta.resolve("zod")).href;
  const sources = new Map([...clients, [locales, "export {};"]]);
  registerHooks({
    load(url, context, next) {
      const source = sources.get(url);
      return source === undefined ? next(url, context) : { format: "module", source, shortCircuit: true };
    },
  });
}

/**
 * Finds our own modules by their names alone, by the rule of `imports` in package.json. Node would look for each of
 * them in the file system, and for the package.json of each folder: a fifth of the start, and 5 MB.
 */
function findOwnModules(): void {
  const root = new URL("..", import.meta.url).href;
  const named = (name: string) => `${root}${name.startsWith("functions/") ? "" : "packages/"}${name}`;
  registerHooks({
    resolve(specifier, context, next) {
      const { parentURL = "" } = context;
      const isOurs = parentURL.startsWith(root) && !parentURL.startsWith(`${root}node_modules/`);
      if (!isOurs || !/^(#|\.|file:).*\.ts$/.test(specifier)) return next(specifier, context);
      const url = specifier.startsWith("#") ? named(specifier.slice(1)) : new URL(specifier, parentURL).href;
      return { url, format: "module-typescript", shortCircuit: true };
    },
  });
}

function waitForSignal(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => done());
  });
}

/** Leaves nothing behind of what is still being tried. */
async function fail(error: unknown): Promise<never> {
  console.error(printableError(error));
  await isolation?.catch(() => undefined);
  process.exit(1);
}
