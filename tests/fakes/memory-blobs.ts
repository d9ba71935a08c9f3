import type { Blobs } from "#core/ports/blobs.ts";
import { requireBlobName } from "#core/store/blob-name.ts";

export interface MemoryBlobs extends Blobs {
  /** Gives blobs addresses that begin with this origin. */
  serveFrom(origin: string): void;
  names(): string[];
  /** Makes every call throw this error; undefined ends this. */
  breakWith(error: Error | undefined): void;
}

/** Blobs in memory. */
export function memoryBlobs(): MemoryBlobs {
  const files = new Map<string, Uint8Array>();
  let broken: Error | undefined;
  let served: string | undefined;
  function open(name: string): Map<string, Uint8Array> {
    if (broken) throw broken;
    requireBlobName(name);
    return files;
  }
  return {
    put: async (name, bytes) => void open(name).set(name, bytes.slice()),
    get: async (name) => open(name).get(name)?.slice(),
    getSize: async (name) => open(name).get(name)?.byteLength,
    remove: async (name) => void open(name).delete(name),
    async removeUnder(name) {
      const under = [...open(name).keys()].filter((entry) => entry.startsWith(`${name}/`));
      for (const name of under) files.delete(name);
    },
    urlToGet: async (name, { contentType, fileName }) => {
      open(name);
      return served && `${served}/${name}?${new URLSearchParams({ contentType, fileName })}`;
    },
    async urlToPut(name) {
      open(name);
      return served === undefined ? undefined : { url: `${served}/${name}`, headers: {} };
    },
    serveFrom(origin) {
      served = origin;
    },
    names: () => [...files.keys()],
    breakWith: (error) => {
      broken = error;
    },
  };
}
