// Plain JavaScript: this file is read before anything is compiled.
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { enableCompileCache, getCompileCacheDir } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { crc32 } from "node:zlib";

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
// WebAssembly): where one has changed since the last time, as by an update, another process compiles everything.
if (directory !== undefined) compileWhatChanged(directory);
await import(pathToFileURL(program).href);

function compileWhatChanged(cache) {
  // Checkouts may share the directory.
  const list = join(cache, `files-${crc32(program)}`);
  // Who watches the files starts again with each change: that is to be soon, whatever it holds (node --watch).
  const isWatched = process.env.WATCH_REPORT_DEPENDENCIES !== undefined;
  if ((isWatched ? existsSync(list) : isCurrent(list)) || !isWritable(cache)) return;
  if (process.stderr.isTTY)
    console.error("Compiling Berth, as at the first start and after an update; this takes some seconds …");
  const words = [...process.execArgv, join(import.meta.dirname, "compile.mjs"), "--compile-only"];
  const env = { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
  const { status, stdout } = spawnSync(process.execPath, words, { env, stdio: ["ignore", "pipe", "ignore"] });
  try {
    if (status === 0) writeFileSync(list, JSON.parse(stdout).map(lineOf).join("\n"));
  } catch {
    // As on a full disk: the next start compiles again.
  }
}

/** Whether each file is as it was when it was compiled. What is new is loaded by one that has changed. */
function isCurrent(list) {
  try {
    return readFileSync(list, "utf8")
      .split("\n")
      .every((line) => line === lineOf(line.slice(line.indexOf("/"))));
  } catch {
    return false;
  }
}

function lineOf(path) {
  const { mtimeMs, size } = statSync(path);
  return `${mtimeMs} ${size} ${path}`;
}

/** Where it is not, each start would compile in vain. */
function isWritable(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
