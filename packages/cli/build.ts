import { dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";

/**
 * Packs the command line into one folder: one file that starts, and chunks that are loaded once they are needed. Nothing is
 * left to be installed.
 */
export async function packCli(outdir: string): Promise<void> {
  await build({
    entryPoints: { berth: new URL("main.ts", import.meta.url).pathname },
    outdir,
    outExtension: { ".js": ".mjs" },
    chunkNames: "chunks/[hash]",
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform: "node",
    target: "node20",
    banner: {
      // CommonJS packages inside ask for built-in modules this way.
      js: 'import { createRequire as berthRequire } from "node:module"; const require = berthRequire(import.meta.url);',
    },
    plugins: [requiredBuiltins, oneStartFile],
    logLevel: "warning",
  });
}

/**
 * Loads built-in modules by `require`. An import reads every export of the module, and those of `node:fs` load streams and
 * readline: some 5 ms at each start.
 */
const requiredBuiltins: Plugin = {
  name: "required-builtins",
  setup(building) {
    building.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "builtin" } : { path, external: true },
    );
    building.onLoad({ filter: /^/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }));
  },
};

/** The imports of start.ts. */
const startModules = [
  ...["app", "failure", "definitions/help-command", "definitions/words-after-dashes"],
  ...["state/profiles", "state/session", "terminal/terminal"],
];
const startImports = startModules.map((name) => `import ${JSON.stringify(join(import.meta.dirname, `${name}.ts`))};`);

/**
 * Keeps the modules of every start in one file. esbuild splits modules by the lazy chunks that need them, so that a start read
 * a dozen files, at 1 ms each. Here each lazy chunk needs all modules of the start.
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
