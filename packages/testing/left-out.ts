/**
 * What a whole run of the suites leaves out, since a process has one user: environments of root and of a plain user get
 * their ids in different ways. `id` is that of the user whom the suites run as, undefined where users have none.
 */
export function leftOut(id: number | undefined): string {
  if (id === undefined) return "the sandbox, which needs Linux";
  if (id === 0)
    return "the sandbox and the stack as a plain user, since this is root: .ci/run makes one and tests as it";
  return "the sandbox and the stack as root, since this is a plain user: run it as root too";
}
