import { readdir } from "node:fs/promises";

/** What a function file exports; `file` is its path below functions/. */
export interface FunctionModule {
  readonly file: string;
  readonly exported: Readonly<Record<string, unknown>>;
}

/**
 * Imports every function file: the file system is the list. `root` ends with a slash. The bundle of the local stack has
 * another module in place of this one, which holds them (scripts/bundle-stack.ts).
 */
export async function importFunctions(root: URL): Promise<FunctionModule[]> {
  const importOne = async (file: string) => ({ file, exported: await import(new URL(file, root).href) });
  return await Promise.all((await functionFiles(root)).map(importOne));
}

/** The paths of the function files below `root`, in the order of their names. */
export async function functionFiles(root: URL): Promise<string[]> {
  const files = await readdir(root, { recursive: true });
  return files
    .filter(isFunctionFile)
    .map((file) => file.replaceAll("\\", "/"))
    .sort();
}

/** Tests, wire tables and what lies in a folder `parts` live among the functions and are none. */
function isFunctionFile(file: string): boolean {
  return file.endsWith(".ts") && !file.endsWith(".test.ts") && !/(^|[\\/])(wire\.ts$|parts[\\/])/.test(file);
}
