import { join } from "node:path";

/** PATH of every run, regardless of the environment in which the stack started. */
export const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function compileCache(home: string): string {
  return process.env.NODE_COMPILE_CACHE ?? join(home, "compile-cache");
}
