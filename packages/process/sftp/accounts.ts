import { readFileSync } from "node:fs";
import { homedir } from "node:os";

/** Undefined if there is no such user. An empty name means our own. */
export function findHome(name: string): string | undefined {
  const ownHOME = process.env.HOME || homedir();
  if (name === "") return ownHOME;
  const entry = listLines("/etc/passwd").find(([user]) => user === name);
  return entry?.[2] === String(process.getuid?.()) ? ownHOME : entry?.[5];
}

/** Undefined if there is no such user. */
export function expandHome(path: string): string | undefined {
  const [, name, rest = ""] = /^~([^/]*)(.*)$/s.exec(path) ?? [];
  if (name === undefined) return path;
  const home = findHome(name);
  return home && `${home}${rest}`;
}

export function readNames(file: "/etc/passwd" | "/etc/group", ids: readonly number[]): string[] {
  const names = new Map(listLines(file).map(([name = "", , id = ""]) => [id, name]));
  return ids.map((id) => names.get(String(id)) ?? "");
}

function listLines(file: string): string[][] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .map((line) => line.split(":"));
  } catch {
    return [];
  }
}
