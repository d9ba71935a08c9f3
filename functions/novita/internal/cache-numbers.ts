import type { ServedSettings } from "#http/dialects/settings.ts";
import { loadCatalogue } from "./catalogue.ts";
import { type CacheNumbers, openedJupyter } from "./lookup-cache.ts";

export interface CacheTotals extends CacheNumbers {
  readonly caches: number;
  /** 0 to 1; 0 before the first lookup. */
  readonly hitRatio: number;
}

export function readCaches(
  settings: ServedSettings,
): Readonly<Record<"instances" | "products" | "templates", CacheNumbers>> {
  const { products, templates } = loadCatalogue(settings);
  return {
    instances: openedJupyter(settings).numbers(),
    products: products.numbers(),
    templates: templates.numbers(),
  };
}

export function sumCacheNumbers(caches: Readonly<Record<string, CacheNumbers>>): CacheTotals {
  const all = Object.values(caches);
  const total = (name: keyof CacheNumbers) => all.reduce((sum, numbers) => sum + numbers[name], 0);
  const sums = { size: total("size"), hits: total("hits"), misses: total("misses") };
  return { ...sums, caches: all.length, hitRatio: computeHitRatio(sums) };
}

export function computeHitRatio({ hits, misses }: Pick<CacheNumbers, "hits" | "misses">): number {
  return hits + misses === 0 ? 0 : hits / (hits + misses);
}
