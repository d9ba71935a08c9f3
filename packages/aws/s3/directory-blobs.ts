import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Blobs } from "#core/ports/blobs.ts";
import { requireBlobName } from "#core/store/blob-name.ts";

const patienceMs = 2_000;

/** Stores blobs as files of mode 600 in a local directory. A rename makes each visible as a whole. */
export function directoryBlobs(directory: string): Blobs {
  return {
    async put(name, bytes) {
      const path = formatPath(directory, name);
      const draft = join(directory, `.${randomUUID()}`);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      try {
        // The flush keeps the blob through a power cut.
        await writeFile(draft, bytes, { mode: 0o600, flush: true, signal: AbortSignal.timeout(patienceMs) });
        await rename(draft, path);
        await syncDirectory(dirname(path));
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
    },
    async get(name) {
      const path = formatPath(directory, name);
      return readFile(path, { signal: AbortSignal.timeout(patienceMs) }).catch(unlessMissing);
    },
    async getSize(name) {
      const found = await stat(formatPath(directory, name)).catch(unlessMissing);
      return found?.isFile() ? found.size : undefined;
    },
    async remove(name) {
      const path = formatPath(directory, name);
      await rm(path, { force: true });
      await rmdir(dirname(path)).catch(() => undefined);
    },
    removeUnder: async (name) => rm(formatPath(directory, name), { recursive: true, force: true }),
    // No server offers the directory.
    urlToGet: async (name) => requireBlobName(name),
    urlToPut: async (name) => requireBlobName(name),
  };
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function formatPath(directory: string, name: string): string {
  requireBlobName(name);
  return join(directory, name);
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}
