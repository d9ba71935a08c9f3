import { globSync, readFileSync } from "node:fs";

/** Lists a process's descendants whose parents live. Each thread has its own children. */
export function listDescendants(pid: number): number[] {
  const children = globSync(`/proc/${pid}/task/*/children`).flatMap((file) => numbersIn(file));
  return [...children, ...children.flatMap(listDescendants)];
}

function numbersIn(file: string): number[] {
  try {
    return readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    // The process has just ended.
    return [];
  }
}
