import { spawnSync } from "node:child_process";

/**
 * Options under which a child is not root. Skips the test, with the reason, where it runs as root in a checkout that no
 * other user may enter.
 */
export function asPlainUser(skip: (reason: string) => void): { readonly uid?: number; readonly gid?: number } {
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const words = ["-e", "require('node:fs').readFileSync(process.argv[1])", import.meta.filename];
  const { status } = spawnSync(process.execPath, words, user);
  if (status !== 0) skip("no other user than root may enter this checkout");
  return user;
}
