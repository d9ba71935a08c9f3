import { enableCompileCache, registerHooks } from "node:module";
import { join, resolve } from "node:path";
import { closeInherited } from "#local/inherited.ts";

closeInherited();
/** Runs the local stack until SIGTERM or Ctrl-C. */
const stopping = waitForSignal();
// Of a start two fifths of the processor time are the compiling of modules. Where it cannot be written nothing is kept.
enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/stack"));
leaveOutClients();
const { startStack } = await import("#local/stack.ts");
// Environments must not die because nobody reads the log any more (`npm start | head`).
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
const stack = await startStack({ environment: process.env }).catch(fail);
console.log(
  `\nBerth listens on ${stack.url} (isolation: ${stack.isolation}; limits: ${stack.limits}). In another shell:`,
);
console.log(`\n  eval "$(npm run --silent env)"\n`);
if (stack.home !== resolve(".berth")) console.log(`with BERTH_HOME=${stack.home} set there too.\n`);

await stopping;
// Whatever hangs: the promise is that nothing is left after 2 s.
setTimeout(() => process.exit(1), 1_950).unref();
await stack.stop();
process.exit(0);

/** Records and messages are kept here: what speaks with DynamoDB and SQS would be a seventh of the start and 20 MB. */
function leaveOutClients(): void {
  const sources = new Map(
    ["table", "queue"].map((name) => [
      import.meta.resolve(`#aws/${name}.ts`),
      `export const ${name} = () => { throw new Error("The local stack keeps its ${name} itself"); };`,
    ]),
  );
  registerHooks({
    load(url, context, next) {
      const source = sources.get(url);
      return source === undefined ? next(url, context) : { format: "module", source, shortCircuit: true };
    },
  });
}

function waitForSignal(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => done());
  });
}

function fail(error: unknown): never {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
