import { readFileSync } from "node:fs";

/**
 * Returns /etc/gitconfig of a sandbox: the machine's, and the user from the run's variables. Settings of a home or a
 * repository win over it. The variables may be secret, so they are never written to disk.
 */
export function gitConfigFor(env: Readonly<Record<string, string>>): string {
  const { GIT_USER_NAME: name, GIT_USER_EMAIL: email } = env;
  const lines = Object.entries({ name, email }).flatMap(([key, value]) =>
    value ? [`\t${key} = ${quoted(value)}`] : [],
  );
  return `${readMachineConfig()}\n${lines.length > 0 ? `[user]\n${lines.join("\n")}\n` : ""}`;
}

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
