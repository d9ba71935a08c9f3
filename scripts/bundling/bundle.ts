import { copyFileSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";
import { type AssetName, assetSources } from "#http/asset.ts";
import { isForTests } from "../linting/layer-rules.ts";
import { keepCliPackage } from "./cli-package.ts";
import { withoutDocument } from "./without-document.ts";

export interface Bundle {
  readonly file: string;
  readonly bytes: number;
}

/** Bundles one function file (`functions/gpu-dev/jobs/cancel.ts`) as for Lambda, with the assets that it reads. */
export async function bundleFunction(file: string, outdir: string): Promise<Bundle> {
  const outfile = join(outdir, `${basename(file, ".ts")}.mjs`);
  const { metafile } = await build({ ...options(), entryPoints: [file], outfile });
  await makeAssets(metafile);
  checkShipped(metafile);
  copyAssets(metafile, outfile);
  return { file: outfile, bytes: statSync(outfile).size };
}

/**
 * Bundles functions in one run, as `<outdir>/<name>/index.mjs`. Source maps go to `mapsdir`, because files beside the
 * bundle would be deployed. Throws for a file without a handler.
 */
export async function bundleFunctions(
  functions: readonly { readonly name: string; readonly file: string }[],
  { outdir, mapsdir }: { readonly outdir: string; readonly mapsdir: string },
): Promise<Bundle[]> {
  const entryPoints = functions.map(({ name, file }) => ({ in: file, out: `${name}/index` }));
  const { metafile } = await build({ ...options(), entryPoints, outdir, outExtension: { ".js": ".mjs" } });
  await makeAssets(metafile);
  checkShipped(metafile);
  return functions.map(({ name, file }) => {
    const bundle = join(outdir, name, "index.mjs");
    const output = findOutput(metafile, bundle);
    if (!output?.exports.includes("handler")) throw new Error(`${file} exports no handler`);
    copyAssets(metafile, bundle);
    mkdirSync(join(mapsdir, name), { recursive: true });
    renameSync(`${bundle}.map`, join(mapsdir, name, "index.mjs.map"));
    return { file: bundle, bytes: output.bytes };
  });
}

function options() {
  return {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    sourcemap: "external",
    metafile: true,
    platform: "node",
    format: "esm",
    target: "node24",
    mainFields: ["module", "main"],
    // Modules have no `require`, which CommonJS packages call.
    banner: { js: 'const require=process.getBuiltinModule("node:module").createRequire(import.meta.url);' },
    plugins: [
      builtinsWithoutFacade,
      withoutLocales,
      withoutJsonSchema,
      withoutDocument,
      environmentCredentials,
      versionsAlone,
      literalKeys,
      clientOfWs,
      knownEndpoints,
      withoutEventStreams,
      nativeHashes,
    ],
    logLevel: "silent",
  } as const satisfies BuildOptions;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Reads only used exports of Node's modules. Full imports create all lazy exports, which takes 4 ms of an init. */
const builtinsWithoutFacade: Plugin = {
  name: "builtins-without-facade",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z]/ }, ({ path, kind }) =>
      kind === "import-statement" && isBuiltin(path) ? { path, namespace: "builtin", sideEffects: false } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter((name) => name !== "default");
      const exported = names.map((name) => `export const ${name} = /* @__PURE__ */ (() => builtin.${name})();`);
      const builtin = `const builtin = process.getBuiltinModule(${JSON.stringify(path)});`;
      return { contents: [builtin, "export default builtin;", ...exported].join("\n"), loader: "js" };
    });
  },
};

/** Half of zod is translated messages, which users never see: the dialects have their own texts. */
const withoutLocales: Plugin = {
  name: "without-locales",
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/locales\/index\.(js|cjs)$/ }, () => ({ contents: "export {};", loader: "js" }));
  },
};

/** Only the generator of the document converts schemas to JSON Schema. Saves 18 kB per function. */
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

/** Replaces constant keys in tables of AWS clients, because esbuild would keep every entry: 550 kB for EC2. */
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

/** Functions use only ws's client, without compression (packages/kubernetes/client/socket.ts). Saves 17 kB. */
const clientOfWs: Plugin = {
  name: "client-of-ws",
  setup({ onLoad }) {
    onLoad({ filter: /\/ws\/wrapper\.mjs$/ }, ({ path }) => ({
      contents: 'export { default as WebSocket } from "./lib/websocket.js";',
      resolveDir: dirname(path),
    }));
    onLoad({ filter: /\/ws\/lib\/permessage-deflate\.js$/ }, () => ({
      contents: 'module.exports = { extensionName: "permessage-deflate" };',
    }));
  },
};

/**
 * Removes the cache of DynamoDB's endpoint discovery, which is not used, and the names of regions, which nothing shows.
 * Saves 10 kB.
 */
const knownEndpoints: Plugin = {
  name: "known-endpoints",
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk\/endpoint-cache\/dist-es\/index\.js$/ }, () => ({
      contents: "export class EndpointCache {}",
    }));
    onLoad({ filter: /@aws-sdk\/core\/dist-es\/.*\/lib\/aws\/partitions\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replaceAll(/"description": "[^"]*"/g, ""),
    }));
  },
};

/** Removes event streams, which none of our calls returns. A call that does fails at its first answer. Saves 16 kB. */
const withoutEventStreams: Plugin = {
  name: "without-event-streams",
  setup({ onLoad }) {
    onLoad({ filter: /@smithy\/core\/dist-es\/submodules\/event-streams\/index\.js$/ }, () => ({
      contents: `export class EventStreamSerde {
        constructor() { throw new Error("Event streams are left out of the bundles (scripts/bundling/bundle.ts)"); }
      }
      export const eventStreamSerdeProvider = undefined;`,
    }));
    // Only events are signed with headers in binary form.
    onLoad({ filter: /@smithy\/signature-v4\/dist-es\/HeaderFormatter\.js$/ }, () => ({
      contents: "export class HeaderFormatter {}",
    }));
  },
};

/** Removes the JavaScript SHA-256, because Node has a native one. Saves 3 kB. */
const nativeHashes: Plugin = {
  name: "native-hashes",
  setup({ onLoad }) {
    onLoad({ filter: /@smithy\/core\/dist-es\/submodules\/checksum\/sha256\/Sha256Js\.js$/ }, () => ({
      contents: `export class Sha256Js {
        constructor() { throw new Error("Only Node's SHA-256 is in the bundles (scripts/bundling/bundle.ts)"); }
      }`,
    }));
  },
};

/** On Lambda, credentials are in the environment. The chain of other providers would only cost bytes and init time. */
const environmentCredentials: Plugin = {
  name: "environment-credentials",
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk\/credential-provider-node\/dist-es\/index\.js$/ }, ({ path }) => ({
      contents: 'export { fromEnv as defaultProvider } from "@aws-sdk/credential-provider-env";',
      resolveDir: dirname(path),
    }));
  },
};

/** Keeps only the version of a client's package.json, which the user agent needs. Saves 2 kB per client. */
const versionsAlone: Plugin = {
  name: "versions-alone",
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk\/client-[a-z0-9-]+\/package\.json$/ }, ({ path }) => {
      const { version } = JSON.parse(readFileSync(path, "utf8")) as { readonly version: string };
      return { contents: JSON.stringify({ version }), loader: "json" };
    });
  },
};

/** Throws if a bundle contains test machinery or the generator of openapi.json. */
function checkShipped(metafile: Metafile): void {
  const wrong = Object.keys(metafile.inputs).filter((input) => {
    return input.includes("node_modules/") ? input.includes("/zod-to-openapi/") : isForTests(input);
  });
  if (wrong.length > 0) throw new Error(`A bundle would contain code that must not ship: ${wrong.join(", ")}`);
}

async function makeAssets({ inputs }: Metafile): Promise<void> {
  if ("packages/http/cli-package.ts" in inputs) await keepCliPackage();
}

function copyAssets(metafile: Metafile, bundle: string): void {
  const inputs = Object.keys(findOutput(metafile, bundle)?.inputs ?? {});
  if (!inputs.includes(assetTable)) return;
  const readers = inputs.filter((input) => /^(functions|packages)\//.test(input) && input !== assetTable);
  const texts = readers.map((input) => readFileSync(join(root, input), "utf8")).join("\n");
  const names = (Object.keys(assetSources) as AssetName[]).filter((name) => texts.includes(`"${name}"`));
  const directory = join(dirname(bundle), "assets");
  mkdirSync(directory, { recursive: true });
  for (const name of names) copyFileSync(assetSources[name](), join(directory, name));
}

const assetTable = "packages/http/asset.ts";

function findOutput(metafile: Metafile, bundle: string): Metafile["outputs"][string] | undefined {
  return metafile.outputs[relative(root, bundle)];
}
