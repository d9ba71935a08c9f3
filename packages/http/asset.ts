import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** Files that Berth serves or reads whole, and where they lie in the source tree; a bundle has copies in `assets/`. */
export const assetSources = {
  "openapi.json": () => new URL("../../openapi.json", import.meta.url),
  "functions.json": () => new URL("../../functions.json", import.meta.url),
  "swagger-ui.css": () => inSwaggerUi("swagger-ui.css"),
  "swagger-ui-bundle.js": () => inSwaggerUi("swagger-ui-bundle.js"),
} as const satisfies Record<string, () => URL | string>;

export type AssetName = keyof typeof assetSources;

/** The text of an asset: beside the bundle when this is one, else from its source. Throws when it is in neither. */
export function readAsset(name: AssetName): string {
  try {
    return readFileSync(new URL(`./assets/${name}`, import.meta.url), "utf8");
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return readFileSync(assetSources[name](), "utf8");
  }
}

function inSwaggerUi(file: string): string {
  return createRequire(import.meta.url).resolve(`swagger-ui-dist/${file}`);
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
