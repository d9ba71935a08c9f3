import { readFileSync } from "node:fs";
import { homedir } from "node:os";

/** Returns the home of this user, or of the program's own user for an empty name; undefined: there is no such user. */
export function findHome(name: string): string | undefined {
  const ownHOME = process.env.HOME || homedir();
  if (name === "") return ownHOME;
  const entry = listLines("/etc/passwd").find(([user]) => user === name);
  return entry?.[2] === String(process.getuid?.()) ? ownHOME : entry?.[5];
}

/** Replaces `~` and `~user` at the beginning, as a shell does; undefined: there is no such user. */
export function expandHome(path: string): string | undefined {
  const [, name, rest = ""] = /^~([^/]*)(.*)$/s.exec(path) ?? [];
  if (name === undefined) return path;
  const home = findHome(name);
  return home && `${home}${rest}`;
}

/** Returns the name of each id, and an empty text where it has none. */
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
