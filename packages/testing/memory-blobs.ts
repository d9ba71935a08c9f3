import type { Blobs } from "#core/ports/blobs.ts";

export interface MemoryBlobs extends Blobs {
  names(): string[];
  /** While set, every call throws it. */
  breakWith(error: Error | undefined): void;
}

/** Blobs in memory. */
export function memoryBlobs(): MemoryBlobs {
  const files = new Map<string, Uint8Array>();
  let broken: Error | undefined;
  function open(name: string): Map<string, Uint8Array> {
    if (broken) throw broken;
    if (!/^[a-z0-9][a-z0-9-]*(\/[a-z0-9][a-z0-9-]*)*$/.test(name)) throw new Error("Not the name of a blob");
    return files;
  }
  return {
    put: async (name, bytes) => void open(name).set(name, bytes.slice()),
    get: async (name) => open(name).get(name)?.slice(),
    remove: async (name) => void open(name).delete(name),
    async removeUnder(name) {
      const under = [...open(name).keys()].filter((one) => one.startsWith(`${name}/`));
      for (const one of under) files.delete(one);
    },
    names: () => [...files.keys()],
    breakWith: (error) => {
      broken = error;
    },
  };
}
