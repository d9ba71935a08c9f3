import { userInfo } from "node:os";
import type { LaunchPlan } from "../runs/plan.ts";
import { findOnPath } from "./local-path.ts";
import { sandboxUser } from "./sandbox-user.ts";

/** User of a run's processes, as shown by its /etc/passwd and login variables. */
export interface Account {
  readonly name: string;
  /** Path inside the run. */
  readonly home: string;
  /** Bash if the run has it, else sh. */
  readonly shell: string;
}

export function chooseAccount(
  { isolation, programs }: Pick<LaunchPlan, "isolation" | "programs">,
  home: string,
): Account {
  const name = isolation === "none" ? ownName() : sandboxUser;
  return { name, home, shell: findOnPath("bash", `/bin:${programs.path}`) ?? "/bin/sh" };
}

export function loginVariables({ name, home, shell }: Account): Record<string, string> {
  return { USER: name, LOGNAME: name, HOME: home, SHELL: shell };
}

/** A container may run under a user id that /etc/passwd does not list. */
function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "");
  }
}
