import { globSync, readFileSync } from "node:fs";

/** Every process that this one started and theirs, as far as their parents live; each thread has its own children. */
export function listDescendants(pid: number): number[] {
  const children = globSync(`/proc/${pid}/task/*/children`).flatMap((file) => numbersIn(file));
  return [...children, ...children.flatMap(listDescendants)];
}

function numbersIn(file: string): number[] {
  try {
    return readFileSync(file, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    // It has just ended.
    return [];
  }
}
