// Plain JavaScript: this file is read before anything is compiled.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { enableCompileCache, getCompileCacheDir } from "node:module";
import { dirname, join } from "node:path";

const unknown = process.argv.slice(2).filter((argument) => argument !== "--compile-only");
if (unknown.length > 0) {
  const isQuestion = unknown.some((argument) => ["--help", "-h"].includes(argument));
  if (!isQuestion) console.error(`npm start takes no arguments: ${unknown.join(" ")}`);
  console.error("Settings are environment variables, such as PORT=8081 npm start; .env.example has all of them.");
  process.exit(isQuestion ? 0 : 2);
}
const program = join(import.meta.dirname, "start.ts");
// Of a start two fifths of the processor time are the compiling of modules. Where it cannot be written nothing is kept.
enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/stack"));
// Inside that, one for this very Node.
const directory = getCompileCacheDir();
// Once a process has stripped the types of one file it holds the 20 MB of the stripper until it ends (Node's amaro, in
// WebAssembly): the first start has another process compile everything.
if (directory !== undefined && readdirSync(directory).length === 0) {
  if (process.stderr.isTTY) console.error("Compiling for the first start, which takes some seconds …");
  const env = { ...process.env, NODE_COMPILE_CACHE: dirname(directory) };
  spawnSync(process.execPath, [...process.execArgv, program, "--compile-only"], { env, stdio: "ignore" });
}
await import(program);
