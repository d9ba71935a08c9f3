import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { isThere } from "#tests/cluster/binary.ts";

/**
 * Creates a folder unless it exists, and returns its path. The folder appears complete, even with concurrent callers.
 */
export async function buildOnce(path: string, make: (draft: string) => Promise<void>): Promise<string> {
  if (await isThere(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  const draft = await mkdtemp(`${path}.`);
  try {
    await make(draft);
    await rename(draft, path).catch(async (error: unknown) => {
      if (!(await isThere(path))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return path;
}
