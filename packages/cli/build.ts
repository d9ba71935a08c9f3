import { build } from "esbuild";

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
    logLevel: "warning",
  });
}
