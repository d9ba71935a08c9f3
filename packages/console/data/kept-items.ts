type StorageName = "localStorage" | "sessionStorage";

/** Web storage of this site. In a browser that refuses it, reads find nothing and writes do nothing. */
export const keptItems = {
  read(storage: StorageName, item: string): string | undefined {
    try {
      return window[storage].getItem(item) ?? undefined;
    } catch {
      return undefined;
    }
  },

  write(storage: StorageName, item: string, text: string): void {
    try {
      window[storage].setItem(item, text);
    } catch {
      // The page works without it.
    }
  },

  /** Removes an item and parses its JSON. Returns undefined if there is no item, or if it is not JSON. */
  take<Value>(storage: StorageName, item: string): Value | undefined {
    const text = keptItems.read(storage, item);
    try {
      window[storage].removeItem(item);
      return text === undefined ? undefined : (JSON.parse(text) as Value);
    } catch {
      return undefined;
    }
  },
};
