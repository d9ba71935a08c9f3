import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

/** Returns a name for a draft, a mark or an id: 16 hex digits. */
export function randomName(): string {
  return randomBytes(8).toString("hex");
}

/** Returns the text of a file; undefined if it cannot be read. */
export function findText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Returns the names in a directory; none if it cannot be read. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Returns undefined for a file or directory that does not exist. Throws other errors. */
export function unlessMissing<Found>(act: () => Found): Found | undefined {
  try {
    return act();
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
