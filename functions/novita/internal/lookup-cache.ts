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
export interface KeptValues<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  numbers(): CacheNumbers;
}

const MOST_KEPT = 1_000;

export function keptValues<Value>(most: number = MOST_KEPT): KeptValues<Value> {
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
