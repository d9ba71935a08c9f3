import type { Environment } from "../environments/record/record.ts";

/** Returns the port that takes messages: the first HTTP port. */
export function findChatPort({ ports }: Pick<Environment, "ports">): number | undefined {
  return ports.find(({ kind }) => kind === "http")?.port;
}
