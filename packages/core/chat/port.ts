import type { Environment } from "../environments/record/record.ts";

/** Where an environment takes messages: its first HTTP port, or undefined. */
export function portOf({ ports }: Pick<Environment, "ports">): number | undefined {
  return ports.find(({ kind }) => kind === "http")?.port;
}
