import { copyFileSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { type AssetName, assetSources } from "#http/asset.ts";

export interface Bundle {
  /** The module that Lambda imports. */
  readonly file: string;
  readonly bytes: number;
}

/** Bundles one function file (`functions/gpu-dev/jobs/cancel.ts`) as for Lambda, with the assets that it may read. */
export async function bundleFunction(file: string, outdir: string): Promise<Bundle> {
  const outfile = join(outdir, `${basename(file, ".ts")}.mjs`);
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [file],
    outfile,
    bundle: true,
    minify: true,
    sourcemap: "external",
    metafile: true,
    platform: "node",
    format: "esm",
    target: "node24",
    mainFields: ["module", "main"],
    // What CommonJS packages call `require` does not exist in a module.
    banner: { js: 'import{createRequire as _cr}from"node:module";const require=_cr(import.meta.url);' },
    plugins: [withoutLocales, withoutJsonSchema, environmentCredentials, versionsAlone, literalKeys],
    logLevel: "silent",
  });
  if ("packages/http/asset.ts" in metafile.inputs) copyAssets(join(outdir, "assets"));
  return { file: outfile, bytes: statSync(outfile).size };
}

const root = fileURLToPath(new URL("../", import.meta.url));

/** Half of zod is messages in languages that nobody is shown: the dialects have texts of their own. */
const withoutLocales: Plugin = {
  name: "without-locales",
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/locales\/index\.(js|cjs)$/ }, () => ({ contents: "export {};", loader: "js" }));
  },
};

/** A schema becomes JSON Schema where the document is generated, and in no function: 18 kB. */
const withoutJsonSchema: Plugin = {
  name: "without-json-schema",
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/classic\/schemas\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8")
        .replaceAll(/^ *inst\._zod\.processJSONSchema = .*;$/gm, "")
        .replace(
          /^import \{ (\w+), (\w+) \} from "..\/core\/to-json-schema.js";$/m,
          "const $1 = () => undefined, $2 = $1;",
        ),
      loader: "js",
    }));
  },
};

/**
 * The clients write some keys of their tables by constants, which esbuild must keep with all they belong to: of EC2's
 * 550 kB a function needs a few.
 */
const literalKeys: Plugin = {
  name: "literal-keys",
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk\/client-[a-z0-9-]+\/dist-es\/schemas\/schemas_0\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const texts = new Map([...source.matchAll(/^const (_\w+) = (".*");$/gm)].map(([, name, text]) => [name, text]));
      return {
        contents: source.replaceAll(/\[(_\w+)\]:/g, (_, name) => `${texts.get(name) ?? `[${name}]`}:`),
        loader: "js",
      };
    });
  },
};

/** On Lambda credentials are in the environment: the chain of other providers is dead weight, in bytes and in init. */
const environmentCredentials: Plugin = {
  name: "environment-credentials",
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk\/credential-provider-node\/dist-es\/index\.js$/ }, ({ path }) => ({
      contents: 'export { fromEnv as defaultProvider } from "@aws-sdk/credential-provider-env";',
      resolveDir: dirname(path),
    }));
  },
};

/** A client reads nothing but its version there, for the user agent: the rest, scripts and dependencies, is 2 kB each. */
const versionsAlone: Plugin = {
  name: "versions-alone",
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk\/client-[a-z0-9-]+\/package\.json$/ }, ({ path }) => {
      const { version } = JSON.parse(readFileSync(path, "utf8")) as { readonly version: string };
      return { contents: JSON.stringify({ version }), loader: "json" };
    });
  },
};

function copyAssets(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const name of Object.keys(assetSources) as AssetName[]) {
    copyFileSync(assetSources[name](), join(directory, name));
  }
}
