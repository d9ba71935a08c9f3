import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";

/**
 * Packs the command line into one folder: one file that starts, and chunks that are loaded once they are needed.
 * Nothing is left to be installed.
 */
export async function packCli(outdir: string): Promise<void> {
  await build({
    ...settings,
    entryPoints: { berth: sourceFile("main.ts") },
    outdir,
    outExtension: { ".js": ".mjs" },
    chunkNames: "chunks/[hash]",
    splitting: true,
    plugins: [externalHelp, lazyBuiltins, oneStartFile],
  });
  // esbuild would put code that this file shares with commands into a chunk, which each command would load.
  const outfile = join(outdir, "root-help.mjs");
  await build({
    ...settings,
    entryPoints: [sourceFile("root-help.ts")],
    outfile,
    plugins: [writtenHelp, lazyBuiltins],
  });
}

const settings = {
  bundle: true,
  minify: true,
  format: "esm",
  platform: "node",
  target: "node20",
  banner: {
    // CommonJS packages inside ask for built-in modules this way.
    js: 'import { createRequire as berthRequire } from "node:module"; const require = berthRequire(import.meta.url);',
  },
  logLevel: "warning",
} as const;

function sourceFile(name: string): string {
  return join(import.meta.dirname, name);
}

const externalHelp: Plugin = {
  name: "external-help",
  setup(building) {
    building.onResolve({ filter: /\/root-help\.ts$/ }, () => ({ path: "./root-help.mjs", external: true }));
  },
};

/** Replaces the commands by the text of their help. */
const writtenHelp: Plugin = {
  name: "written-help",
  setup(building) {
    building.onLoad({ filter: /\/cli\/app\.ts$/ }, async () => {
      const { rootHelp } = await import("./app.ts");
      const [all, own] = await Promise.all([true, false].map((showsAdmin) => rootHelp({ showsAdmin })));
      const texts = `showsAdmin ? ${JSON.stringify(all)} : ${JSON.stringify(own)}`;
      return { contents: `export const rootHelp = async ({ showsAdmin }) => (${texts});` };
    });
  },
};

/**
 * Loads a built-in module by `require`, and only once the code reads one of its exports. An import would read every
 * export when a command starts: those of `node:fs` load streams, and `node:crypto` alone takes 10 ms.
 */
const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  setup(building) {
    building.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "builtin" } : { path, external: true },
    );
    building.onLoad({ filter: /^/, namespace: "builtin" }, ({ path }) => ({ contents: lazyModule(path) }));
  },
};

/** Functions, such as the exports of `node:assert`, and `process`, whose properties vary, are taken as they are. */
function lazyModule(path: string): string {
  const load = `require(${JSON.stringify(path)})`;
  const exported: unknown = createRequire(import.meta.url)(path);
  if (typeof exported !== "object" || exported === null || exported === process) return `module.exports = ${load}`;
  return `let loaded;
    for (const name of ${JSON.stringify(Object.keys(exported).toSorted())})
      Object.defineProperty(exports, name, { enumerable: true, get: () => (loaded ??= ${load})[name] });`;
}

/** The imports of start.ts, and those of nearly every command, which would be a dozen small chunks. */
const startModules = [
  ...["app", "failure", "definitions/help-command", "definitions/quiet-flag", "definitions/refused-flags"],
  ...["definitions/words-after-dashes", "state/profiles", "state/session", "terminal/terminal"],
  ...["login/connect", "state/lock", "jobs/find-job", "terminal/collect", "terminal/view"],
];
const startImports = startModules.map((name) => `import ${JSON.stringify(join(import.meta.dirname, `${name}.ts`))};`);

/**
 * Keeps the modules of every start in one file. esbuild splits modules by the lazy chunks that need them, so that a
 * start read a dozen files, at 1 ms each. Here each lazy chunk needs all modules of the start.
 */
const oneStartFile: Plugin = {
  name: "one-start-file",
  setup(building) {
    building.onResolve({ filter: /^\./ }, ({ path, kind, resolveDir, namespace }) =>
      kind === "dynamic-import" && namespace === "file"
        ? { path: join(resolveDir, path), namespace: "lazy" }
        : undefined,
    );
    building.onLoad({ filter: /^/, namespace: "lazy" }, ({ path }) => ({
      contents: [...startImports, `export * from ${JSON.stringify(path)};`].join("\n"),
      resolveDir: dirname(path),
    }));
  },
};
