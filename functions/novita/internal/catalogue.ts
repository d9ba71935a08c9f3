import { readFileSync } from "node:fs";
import * as z from "zod";
import { findInstanceType } from "#core/fleet.ts";
import { imageFault, LONGEST_IMAGE } from "#core/text/image-reference.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import bundled from "../catalogue.json" with { type: "json" };
import { type LookupCache, lookupCache } from "./lookup-cache.ts";

const MOST_GPUS = 8;

const Product = z.object({
  name: z.string().min(1).max(200),
  instanceType: z.string().refine((name) => (findInstanceType(name)?.gpus ?? 0) > 0, "must be a machine with GPUs"),
  gpus: z.int().min(1).max(MOST_GPUS),
});

const Template = z.object({
  id: z.string().min(1).max(200),
  image: z
    .string()
    .max(LONGEST_IMAGE, { abort: true })
    .superRefine((text, ctx) => {
      const message = imageFault(text);
      if (message !== undefined) ctx.addIssue({ code: "custom", message });
    }),
  command: z.string().max(16_384).optional(),
  /** Variables of every instance, readable by every user, so without secrets. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).default({}),
  jupyter: z.boolean().default(false),
  ports: z
    .array(z.object({ port: z.int().min(1).max(65_535), kind: z.enum(["ssh", "jupyter", "http", "tcp"]) }))
    .refine((ports) => isDistinct(ports.map(({ port }) => port)), "must not name a port twice"),
});

const CatalogueFile = z.object({
  products: z
    .array(Product)
    .min(1)
    .refine((products) => isDistinct(products.map(({ name }) => name)), "must not name a product twice"),
  templates: z
    .array(Template)
    .min(1)
    .refine((templates) => isDistinct(templates.map(({ id }) => id)), "must not name a template twice"),
  regions: z.array(z.string().min(1).max(64)).min(1),
});

export type Product = z.output<typeof Product>;
export type Template = z.output<typeof Template>;

export interface Catalogue {
  readonly products: LookupCache<Product>;
  readonly templates: LookupCache<Template>;
  readonly regions: readonly string[];
}

/**
 * Reads the catalogue of a deployment once: the file next to this one, which every bundle includes, unless
 * NOVITA_CATALOGUE names another. Throws one message that names every fault of that file.
 */
export function loadCatalogue(settings: Pick<ServedSettings, "catalogueFile">): Catalogue {
  const knownCatalogue = loaded.get(settings);
  if (knownCatalogue) return knownCatalogue;
  const { products, templates, regions } = parseCatalogue(settings.catalogueFile);
  const catalogue: Catalogue = {
    products: lookupCache((name) => products.find((product) => product.name === name)),
    templates: lookupCache((id) => templates.find((template) => template.id === id)),
    regions,
  };
  loaded.set(settings, catalogue);
  return catalogue;
}

/** Counters by settings object, because each process has its own. */
const loaded = new WeakMap<object, Catalogue>();

function parseCatalogue(path: string | undefined): z.output<typeof CatalogueFile> {
  const source = path ?? "functions/novita/catalogue.json";
  const result = CatalogueFile.safeParse(path === undefined ? bundled : readJson(path));
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => `  ${issue.path.join(".") || "the whole"}: ${issue.message}`);
  throw new Error(`Bad catalogue ${source}:\n${lines.join("\n")}`);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const why = error instanceof SyntaxError ? `it is no JSON: ${error.message}` : "it cannot be read";
    throw new Error(`Bad catalogue ${path} (NOVITA_CATALOGUE): ${why}`, { cause: error });
  }
}

function isDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}
