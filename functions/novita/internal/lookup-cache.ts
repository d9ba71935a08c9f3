import type { OpenJupyter } from "#core/environments/record/changes/access.ts";
import type { Settings } from "#core/settings.ts";

export interface CacheNumbers {
  readonly size: number;
  readonly hits: number;
  readonly misses: number;
}

/** Caches values by key. They must never change while the process lives. */
export interface LookupCache<Value> {
  /** Misses are not cached, so that invented names take no memory. */
  find(key: string): Value | undefined;
  numbers(): CacheNumbers;
}

export function lookupCache<Value>(load: (key: string) => Value | undefined): LookupCache<Value> {
  const kept = keptValues<Value>();
  return {
    find(key) {
      const cached = kept.get(key);
      if (cached !== undefined) return cached;
      const found = load(key);
      if (found !== undefined) kept.set(key, found);
      return found;
    },
    numbers: kept.numbers,
  };
}

/** A counted cache that evicts the value set first above `most`. */
interface KeptValues<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  numbers(): CacheNumbers;
}

const MOST_KEPT = 1_000;

function keptValues<Value>(most: number = MOST_KEPT): KeptValues<Value> {
  const values = new Map<string, Value>();
  let [hits, misses] = [0, 0];
  return {
    get(key) {
      const value = values.get(key);
      if (value === undefined) misses += 1;
      else hits += 1;
      return value;
    },
    set(key, value) {
      values.set(key, value);
      const [oldest] = values.keys();
      if (values.size > most && oldest !== undefined) values.delete(oldest);
    },
    numbers: () => ({ size: values.size, hits, misses }),
  };
}

/**
 * Caches opened tokens of Jupyter, which are constant for one sealed form. No other part of an instance is cached,
 * because it would go stale.
 */
export function openedJupyter(settings: Settings): KeptValues<OpenJupyter> {
  const values = openedTokens.get(settings) ?? keptValues<OpenJupyter>();
  openedTokens.set(settings, values);
  return values;
}

const openedTokens = new WeakMap<Settings, KeptValues<OpenJupyter>>();
