import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { URL } from "node:url";

export const assetSources = {
  "openapi.json": () => new URL("../../openapi.json", import.meta.url),
  "functions.json": () => new URL("../../functions.json", import.meta.url),
  "berth.tgz": () => new URL("../../node_modules/.cache/cli/berth.tgz", import.meta.url),
  "berth.schema.json": () => new URL("../../packages/cli/berth.schema.json", import.meta.url),
  "swagger-ui.css": () => inSwaggerUi("swagger-ui.css"),
  "swagger-ui-bundle.js": () => inSwaggerUi("swagger-ui-bundle.js"),
} as const satisfies Record<string, () => URL | string>;

export type AssetName = keyof typeof assetSources;

/** Reads an asset next to the bundle, or from its source. Throws if it is in neither place. */
export function readAsset(name: AssetName): string {
  const bytes = readAssetBytes(name);
  if (!bytes) throw new Error(`The asset ${name} is missing`);
  return bytes.toString("utf8");
}

export function readAssetBytes(name: AssetName): Buffer<ArrayBuffer> | undefined {
  return readIfThere(new URL(`./assets/${name}`, import.meta.url)) ?? readIfThere(assetSources[name]());
}

function readIfThere(file: URL | string): Buffer<ArrayBuffer> | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return undefined;
  }
}

function inSwaggerUi(file: string): string {
  return createRequire(import.meta.url).resolve(`swagger-ui-dist/${file}`);
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
