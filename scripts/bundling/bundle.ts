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
  /** The module that Lambda imports. */
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
 * Bundles these functions in one run, `<outdir>/<name>/index.mjs` each, with their source maps in `mapsdir`: beside the
 * bundle they would be deployed. Throws for a file that has no handler.
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
    // What CommonJS packages call `require` does not exist in a module.
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

/**
 * An import of one of Node's modules reads everything that the module exports, and so makes what Node makes only when
 * somebody asks for it: 4 ms of an init. A bundle reads what it uses.
 */
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

/** Of ws a function is a client, and asks for no compression (packages/kubernetes/client/socket.ts): the rest is 17 kB. */
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

/** The client of DynamoDB makes a cache for the endpoints that it discovers, and discovers none: 8 kB. */
const knownEndpoints: Plugin = {
  name: "known-endpoints",
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk\/endpoint-cache\/dist-es\/index\.js$/ }, () => ({
      contents: "export class EndpointCache {}",
    }));
  },
};

/** No call that we make answers with a stream of events; whoever adds one is told at its first answer: 16 kB. */
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

/** Node has SHA-256 of its own. A client carries another in JavaScript for browsers that have none: 3 kB. */
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

/** Throws if a bundle would hold what tests are made of, or the generator of openapi.json. */
function checkShipped(metafile: Metafile): void {
  const wrong = Object.keys(metafile.inputs).filter((input) => {
    return input.includes("node_modules/") ? input.includes("/zod-to-openapi/") : isForTests(input);
  });
  if (wrong.length > 0) throw new Error(`A bundle would hold what is never shipped: ${wrong.join(", ")}`);
}

/** The command line is packed anew for each bundle of a function that serves it. */
async function makeAssets({ inputs }: Metafile): Promise<void> {
  if ("packages/http/cli-package.ts" in inputs) await keepCliPackage();
}

/** Those that a file of ours in the bundle names, besides the table of all of them. */
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
