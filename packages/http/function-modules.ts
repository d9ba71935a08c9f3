import { readdir } from "node:fs/promises";

export interface FunctionModule {
  readonly file: string;
  readonly exported: Readonly<Record<string, unknown>>;
}

/**
 * Imports all function files. `root` ends with a slash. The bundle of the local stack replaces this module
 * (scripts/bundling/bundle-stack.ts).
 */
export async function importFunctions(root: URL): Promise<FunctionModule[]> {
  const importOne = async (file: string) => ({ file, exported: await import(new URL(file, root).href) });
  return await Promise.all((await functionFiles(root)).map(importOne));
}

export async function functionFiles(root: URL): Promise<string[]> {
  const files = await readdir(root, { recursive: true });
  return files
    .filter(isFunctionFile)
    .map((file) => file.replaceAll("\\", "/"))
    .sort();
}

/** Reports whether a file declares a function. Tests, `schemas.ts` and the files of `internal/` do not. */
function isFunctionFile(file: string): boolean {
  return file.endsWith(".ts") && !file.endsWith(".test.ts") && !/(^|[\\/])(schemas\.ts$|internal[\\/])/.test(file);
}
