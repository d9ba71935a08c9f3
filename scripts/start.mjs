// Plain JavaScript, because this file runs before anything is compiled.
import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { enableCompileCache, getCompileCacheDir, setSourceMapsSupport } from "node:module";
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
// Compiling modules takes two fifths of the processor time of a start from source. An unwritable cache is ignored.
setSourceMapsSupport(true, { nodeModules: true });
enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/stack"));
// `node --watch` restarts on each change of a loaded file, so it must load the sources.
const isWatched = process.env.WATCH_REPORT_DEPENDENCIES !== undefined;
const bundle = isWatched ? undefined : (currentBundle() ?? makeBundle());
await import(pathToFileURL(bundle ?? join(import.meta.dirname, "start-from-source.ts")).href);

/** Returns the bundle, or undefined if an input has changed since. */
function currentBundle() {
  try {
    const [entry, ...lines] = readFileSync(join(bundleDirectory(), "inputs"), "utf8").split("\n");
    accessSync(entry);
    return lines.every((line) => line === lineOf(line.slice(line.indexOf("/")))) ? entry : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Bundles the current sources, at the first start and after an update. Returns undefined if that fails or cannot be
 * stored. It runs in another process, because stripping types holds 20 MB until the process ends (Node's amaro, in
 * WebAssembly).
 */
function makeBundle() {
  const directory = bundleDirectory();
  if (!isWritable(directory)) return undefined;
  if (process.stderr.isTTY) console.error("Bundling Berth (at the first start and after an update) …");
  const words = [...process.execArgv, join(import.meta.dirname, "bundling/bundle-stack.ts"), directory];
  const cache = getCompileCacheDir();
  // Node adds a directory of its version below the configured one.
  const env = { ...process.env, ...(cache && { NODE_COMPILE_CACHE: dirname(cache) }) };
  const { status, stdout } = spawnSync(process.execPath, words, { env, stdio: ["ignore", "pipe", "ignore"] });
  try {
    if (status !== 0) return undefined;
    const { entry, inputs } = JSON.parse(stdout);
    writeFileSync(join(directory, "inputs"), [entry, ...inputs.map(lineOf)].join("\n"));
    return entry;
  } catch {
    // For example on a full disk. The next start bundles again.
    return undefined;
  }
}

/** Checkouts may share one node_modules, so the name depends on the checkout. */
function bundleDirectory() {
  return join(import.meta.dirname, `../node_modules/.cache/bundle-${crc32(import.meta.filename)}`);
}

function lineOf(path) {
  const { mtimeMs, size } = statSync(path);
  return `${mtimeMs} ${size} ${path}`;
}

/** Reports whether bundles can be stored. Otherwise each start would bundle in vain. */
function isWritable(path) {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
