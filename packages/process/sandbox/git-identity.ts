import { readFileSync } from "node:fs";

/**
 * Returns /etc/gitconfig of a sandbox: that of the machine, and the user that the run's variables name. Git reads this
 * file first, so settings of a home or a repository win. The variables may be secret: no file of this machine holds them.
 */
export function gitConfigFor(env: Readonly<Record<string, string>>): string {
  const { GIT_USER_NAME: name, GIT_USER_EMAIL: email } = env;
  const lines = Object.entries({ name, email }).flatMap(([key, value]) =>
    value ? [`\t${key} = ${quoted(value)}`] : [],
  );
  return `${readMachineConfig()}\n${lines.length > 0 ? `[user]\n${lines.join("\n")}\n` : ""}`;
}

/** Quotes a value as git-config(1) reads it. */
function quoted(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

function readMachineConfig(): string {
  try {
    return readFileSync("/etc/gitconfig", "utf8");
  } catch {
    return "";
  }
}
