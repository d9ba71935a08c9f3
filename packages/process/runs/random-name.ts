import { randomBytes } from "node:crypto";

/** A name for a file that nobody else makes. */
export function randomName(): string {
  return randomBytes(8).toString("hex");
}
