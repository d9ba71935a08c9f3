/**
 * Returns the mount that is the home of a run: the one nearest below `/home`, as workspaces have it, or else the first.
 * Undefined without mounts: then the home ends with the run.
 */
export function findHomeMount<Mount extends { readonly path: string }>(mounts: readonly Mount[]): Mount | undefined {
  const homes = mounts.filter(({ path }) => path.startsWith("/home/"));
  return homes.toSorted((left, right) => left.path.length - right.path.length)[0] ?? mounts[0];
}
