import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type BuildResult, build, type Plugin } from "esbuild";
import { functionFiles } from "#http/function-modules.ts";
import { isForTests } from "../linting/layer-rules.ts";
import { keepCliPackage } from "./cli-package.ts";
import { keepConsole } from "./console.ts";
import { leftOut } from "./left-out.ts";
import { withoutWords } from "./without-document.ts";

/**
 * `node bundle-stack.ts <directory>` bundles the stack of `npm start` into a few modules there. It prints as JSON the
 * module to import (`entry`) and the paths whose change requires a new bundle (`inputs`). Loading 540 files instead
 * takes twice the processor time of a start and 28 MB more. start.mjs runs this in another process.
 */
const [directory = ""] = process.argv.slice(2);
const root = fileURLToPath(new URL("../../", import.meta.url));
const functions = new URL("../../functions/", import.meta.url);

const [result] = await Promise.all([bundle(), keepCliPackage(), keepConsole()]);
const entry = keep(result);
removeOld(result);
process.stdout.write(JSON.stringify({ entry, inputs: listInputs(result) }));
// Fills the compile cache for the start that waits for this bundle.
process.argv.push("--compile-only");
await import(pathToFileURL(entry).href);

type Bundle = BuildResult<{ write: false; metafile: true }>;

function bundle(): Promise<Bundle> {
  return build({
    absWorkingDir: root,
    entryPoints: ["scripts/start.ts"],
    outdir: directory,
    bundle: true,
    // Dynamic imports stay separate: the first steps need little, and a cluster's client is seldom needed.
    splitting: true,
    write: false,
    metafile: true,
    sourcemap: "linked",
    sourcesContent: false,
    logLevel: "silent",
    platform: "node",
    format: "esm",
    target: "node24",
    mainFields: ["module", "main"],
    // Content hashes in names keep concurrent bundling processes from disturbing each other.
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    outExtension: { ".js": ".mjs" },
    // These load binaries next to their own files.
    external: ["ssh2", "@lydell/node-pty"],
    // Modules have no `require`, which CommonJS packages call.
    banner: { js: 'import{createRequire as _cr}from"node:module";const require=_cr(import.meta.url);' },
    plugins: [withoutLeftOut(), withFunctions(), inPlace()],
  });
}

function withoutLeftOut(): Plugin {
  const sources = leftOut();
  const loadInstead = ({ path }: { readonly path: string }) => {
    const contents = sources.get(path);
    return contents === undefined ? undefined : ({ contents, loader: "js" } as const);
  };
  return { name: "without-left-out", setup: ({ onLoad }) => onLoad({ filter: /\.m?[jt]s$/ }, loadInstead) };
}

/** A bundle cannot search a directory for functions, so it names each one. */
function withFunctions(): Plugin {
  const loadAll = async () => {
    const files = await functionFiles(functions);
    const imports = files.map((file, n) => `import * as exported${n} from ${JSON.stringify(`#functions/${file}`)};`);
    const modules = files.map((file, n) => `{ file: ${JSON.stringify(file)}, exported: exported${n} }`);
    const contents = `${imports.join("\n")}\nexport const importFunctions = async () => [${modules.join(", ")}];`;
    return { contents, loader: "js", resolveDir: join(root, "packages/http") } as const;
  };
  const filter = /packages\/http\/function-modules\.ts$/;
  return { name: "with-functions", setup: ({ onLoad }) => onLoad({ filter }, loadAll) };
}

/** Keeps the original paths of our modules, which find programs and assets relative to themselves. */
function inPlace(): Plugin {
  const loadAsIfThere = ({ path }: { readonly path: string }) => {
    const contents = readFileSync(path, "utf8")
      .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href))
      .replaceAll("import.meta.dirname", JSON.stringify(dirname(path)));
    return { contents: path.includes("/functions/") ? withoutWords(contents) : contents, loader: "ts" } as const;
  };
  return { name: "in-place", setup: ({ onLoad }) => onLoad({ filter: /\.ts$/ }, loadAsIfThere) };
}

/** Writes missing files, each by an atomic rename, and returns the file to import. */
function keep({ outputFiles, metafile }: Bundle): string {
  for (const { path, contents } of outputFiles) {
    if (existsSync(path)) continue;
    const unfinished = `${path}.${process.pid}`;
    writeFileSync(unfinished, contents);
    renameSync(unfinished, path);
  }
  const [name] = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === "scripts/start.ts") ?? [];
  if (name === undefined) throw new Error("The bundle has no entry");
  return join(root, name);
}

/** Deletes bundles older than an hour. Other processes may still load newer ones. */
function removeOld({ outputFiles }: Bundle): void {
  const current = new Set(outputFiles.map(({ path }) => path));
  const hourAgo = Date.now() - 3_600_000;
  for (const path of readdirSync(directory).map((name) => join(directory, name))) {
    if (!current.has(path) && statSync(path).mtimeMs < hourAgo) rmSync(path, { force: true });
  }
}

function isOfCli(file: string): boolean {
  return /\.m?[tj]s(on)?$/.test(file) && !isForTests(`packages/cli/${file}`);
}

/** Returns Berth's own files, the folders of functions, and npm's list of installed packages. */
function listInputs({ metafile }: Bundle): string[] {
  const ownNames = Object.keys(metafile.inputs).filter(
    (path) => path.endsWith(".ts") && !path.includes("node_modules/"),
  );
  const folders = readdirSync(functions, { recursive: true, withFileTypes: true })
    .filter((each) => each.isDirectory())
    .map((each) => join(each.parentPath, each.name));
  const cli = ["cli", "sdk"].flatMap((name) => {
    const folder = join(root, "packages", name);
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter(isOfCli)
      .map((file) => join(folder, file));
  });
  const consoleFolder = join(root, "packages/console");
  const consoleFiles = readdirSync(consoleFolder, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(tsx?|css)$/.test(file) && !isForTests(`packages/console/${file}`))
    .map((file) => join(consoleFolder, file));
  const sources = [
    ...cli,
    ...consoleFiles,
    ...ownNames.map((path) => join(root, path)),
    fileURLToPath(import.meta.url),
    ...folders,
  ];
  return [
    ...sources,
    fileURLToPath(functions),
    join(root, "package.json"),
    join(root, "node_modules/.package-lock.json"),
  ];
}
