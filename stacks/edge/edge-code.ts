/**
 * Returns the edge function's code with the newest secret. Throws for a secret with characters that could end the
 * literal.
 */
export function edgeCode(code: string, originSecrets: string): string {
  const [newest = ""] = originSecrets.split(",");
  if (!/^[\w-]{32,128}$/.test(newest)) {
    throw new Error("OriginSecrets must be secrets of 32 to 128 letters, digits, _ and -, separated by a comma");
  }
  return code.replace("<origin secret>", newest);
}
