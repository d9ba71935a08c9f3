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
    plugins: [externalHelp, requiredBuiltins, oneStartFile],
  });
  // esbuild would put code that this file shares with commands into a chunk, which each command would load.
  const outfile = join(outdir, "root-help.mjs");
  await build({
    ...settings,
    entryPoints: [sourceFile("root-help.ts")],
    outfile,
    plugins: [writtenHelp, requiredBuiltins],
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
 * Loads built-in modules by `require`. An import reads every export of the module, and those of `node:fs` load streams
 * and readline: some 5 ms at each start.
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
  ...["app", "failure", "definitions/help-command", "definitions/quiet-flag", "definitions/refused-flags"],
  ...["definitions/words-after-dashes", "state/profiles", "state/session", "terminal/terminal"],
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
