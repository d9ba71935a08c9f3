/** Name and code of an error whose message may repeat what was sent, secrets included. */
export function kindOfError(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  const kind = [name, code].filter((part) => /^[\w.-]{1,40}$/.test(String(part ?? "")));
  return kind.join(" ") || "unknown error";
}
