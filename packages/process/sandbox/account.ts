import { userInfo } from "node:os";
import type { LaunchPlan } from "../runs/plan.ts";
import { findOnPath } from "./local-path.ts";
import { sandboxUser } from "./sandbox-user.ts";

/** The user of a run's processes, as /etc/passwd of a sandbox and the variables of a login say it. */
export interface Account {
  readonly name: string;
  /** The path inside the run. */
  readonly home: string;
  /** Bash where the run has one, else sh. */
  readonly shell: string;
}

/** Returns the user of a run whose home is this directory. */
export function chooseAccount(
  { isolation, programs }: Pick<LaunchPlan, "isolation" | "programs">,
  home: string,
): Account {
  const name = isolation === "none" ? ownName() : sandboxUser;
  return { name, home, shell: findOnPath("bash", `/bin:${programs.path}`) ?? "/bin/sh" };
}

/** Returns the variables that a login sets for a user. */
export function loginVariables({ name, home, shell }: Account): Record<string, string> {
  return { USER: name, LOGNAME: name, HOME: home, SHELL: shell };
}

/** A container may run as a user id that /etc/passwd does not name. */
function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "");
  }
}
