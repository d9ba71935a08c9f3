import type { Environment } from "../environments/record/record.ts";

export function findChatPort({ ports }: Pick<Environment, "ports">): number | undefined {
  return ports.find(({ kind }) => kind === "http")?.port;
}
