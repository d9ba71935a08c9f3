import { join } from "node:path";

/** Where programs are looked for: the same for every run, whatever the one who started the stack has set. */
export const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Where programs of our own keep what was compiled of them: with the home, unless this process was told a place. */
export function compileCache(home: string): string {
  return process.env.NODE_COMPILE_CACHE ?? join(home, "compile-cache");
}
