import type { LimitWay } from "#process/sandbox/limits.ts";

const refusal =
  `LOCAL_USERS names users, and this machine cannot limit the memory of an environment as a whole. One user's job could take all
of it, in processes or in buffers of sockets. Hand on control groups ("Limits of environments" in docs/operate.md), or set
SHARE_WITHOUT_MEMORY_LIMIT=1 to share the stack all the same.`.replaceAll("\n", " ");

/**
 * Throws if several users would share a machine on which one of them can use all memory. Limits of a process
 * (getrlimit(2)) do not help: they count neither other processes nor the kernel's socket buffers.
 */
export function requireMemoryLimit(
  config: { readonly LOCAL_USERS: readonly string[]; readonly SHARE_WITHOUT_MEMORY_LIMIT: "0" | "1" },
  { groups }: Pick<LimitWay, "groups">,
): void {
  const isShared = config.LOCAL_USERS.length > 0;
  if (isShared && !groups?.places.memory && config.SHARE_WITHOUT_MEMORY_LIMIT === "0") throw new Error(refusal);
}
