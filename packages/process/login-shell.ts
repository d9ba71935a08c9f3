import { findOnPath, type Programs } from "./local-path.ts";

const posixShell = "/bin/sh";

/** Returns the shell of a run's user: bash where the run has one, else sh. */
export function findLoginShell({ path }: Pick<Programs, "path">): string {
  return findOnPath("bash", `/bin:${path}`) ?? posixShell;
}
