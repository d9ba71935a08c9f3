import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { closeInherited } from "#local/inherited.ts";
import { printableError } from "#local/printable.ts";

closeInherited();
/** Runs the local stack until SIGTERM or Ctrl-C. */
const stopping = waitForSignal();
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
