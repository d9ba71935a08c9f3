import { dirname, join } from "node:path/posix";

/** What each room may import besides itself and packages. Tests may import anything, and nothing imports scripts. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  core: [],
  http: ["core"],
  aws: ["core"],
  sqlite: ["core"],
  process: ["core"],
  kubernetes: ["core"],
  lambda: ["core", "http", "aws"],
  // It finds the functions through the catalog.
  local: ["core", "http", "aws", "sqlite", "process", "kubernetes"],
  testing: ["core", "http"],
  functions: ["core", "http", "aws", "lambda"],
  scripts: ["core", "http", "aws", "sqlite", "process", "local", "testing"],
};

/** The domain does without packages too, those of Node among them. */
const withoutPackages: readonly string[] = ["core"];

/** Which imports of a file (its path from the root, and its text) its room may not have, in words. */
export function wrongImports(file: string, text: string): string[] {
  const room = roomOf(file) ?? "";
  const allowed = rooms[room];
  if (!allowed) throw new Error(`packages/${room} is not in the table of rooms`);
  if (/(\.test|-trial)\.ts$/.test(file)) return [];
  const mayImport = (source: string) => {
    const target = targetRoom(file, source);
    if (target === undefined) return !withoutPackages.includes(room);
    return target === room || allowed.includes(target);
  };
  const may = allowed.length > 0 ? `${allowed.join(", ")} and itself` : "itself";
  return importsIn(text)
    .filter((source) => !mayImport(source))
    .map((source) => `${file} imports ${source}: ${room} may import ${may}`);
}

function importsIn(text: string): string[] {
  const found = text.matchAll(/^(?:import |(?:import|export|\}).* from )"([^"]+)"|\bimport\("([^"]+)"\)/gm);
  return [...found].map(([, fixed, dynamic]) => fixed ?? dynamic ?? "");
}

/** Undefined for a package. */
function targetRoom(file: string, source: string): string | undefined {
  if (source.startsWith("#")) return source.slice(1, source.indexOf("/"));
  return source.startsWith(".") ? roomOf(join(dirname(file), source)) : undefined;
}

function roomOf(path: string): string | undefined {
  const [top, next] = path.split("/");
  return top === "packages" ? next : top;
}
