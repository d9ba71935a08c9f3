import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Metafile } from "esbuild";
import { consoleDirectory } from "#local/server/console.ts";
import { emptyPage, type PageParts } from "../../packages/console/pages.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface ConsoleFile {
  /** `index.html`, `terminal.html`, or a name below `assets/`, which holds a hash of the content. */
  readonly path: string;
  readonly contents: Uint8Array;
}

/** Bundles the web console. Scripts and stylesheets have hashed names, and the pages name them. */
export async function bundleConsole(): Promise<ConsoleFile[]> {
  const entryPoints = ["start.ts", "terminal.ts"].map((name) => `packages/console/${name}`);
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: "assets",
    bundle: true,
    splitting: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    jsx: "automatic",
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "silent",
  });
  const assets = outputFiles.map(({ path, contents }) => ({ path: `assets/${basename(path)}`, contents }));
  const page = (path: string, title: string, parts: Omit<PageParts, "title">) => ({
    path,
    contents: new TextEncoder().encode(emptyPage({ title, ...parts })),
  });
  const start = findEntry(metafile, "start.ts");
  const main = findEntry(metafile, "main.tsx");
  const later = [main.script, ...main.imports].filter((name) => ![start.script, ...start.imports].includes(name));
  return [
    ...assets,
    page("terminal.html", "Terminal · Berth", { ...findEntry(metafile, "terminal.ts"), later: [] }),
    page("index.html", "Berth", { ...start, later }),
  ];
}

/** Returns the names of an entry's script, of its stylesheet, and of the chunks that it imports at once. */
function findEntry({ outputs }: Metafile, entry: string) {
  const path = `packages/console/${entry}`;
  const [script, output] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === path) ?? [];
  if (script === undefined || output === undefined) throw new Error(`${entry} was not bundled`);
  const imports = output.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => basename(path));
  return { script: basename(script), style: basename(output.cssBundle ?? ""), imports };
}

/**
 * Writes the console where the embedded stack reads it. The pages come last and by atomic renames, so that each names
 * files that exist. Files of earlier bundles stay for an hour, because open pages may still load them.
 */
export async function keepConsole(): Promise<void> {
  const files = await bundleConsole();
  mkdirSync(join(consoleDirectory, "assets"), { recursive: true });
  for (const { path, contents } of files) {
    const draft = join(consoleDirectory, `${basename(path)}.${process.pid}`);
    writeFileSync(draft, contents);
    renameSync(draft, join(consoleDirectory, path));
  }
  const current = new Set(files.map(({ path }) => path));
  const hourAgo = Date.now() - 3_600_000;
  for (const name of readdirSync(join(consoleDirectory, "assets"))) {
    const file = join(consoleDirectory, "assets", name);
    if (!current.has(`assets/${name}`) && statSync(file).mtimeMs < hourAgo) rmSync(file, { force: true });
  }
}
