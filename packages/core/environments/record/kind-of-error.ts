/** Returns name and code of an error. Its message may repeat the request, secrets included. */
export function kindOfError(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  const kind = [name, code].filter((part) => /^[\w.-]{1,40}$/.test(String(part ?? "")));
  return kind.join(" ") || "unknown error";
}
