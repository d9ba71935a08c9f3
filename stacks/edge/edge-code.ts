/** The code of the function with the newest secret in it. Throws for a secret that could be more than text. */
export function edgeCode(code: string, originSecrets: string): string {
  const [newest = ""] = originSecrets.split(",");
  if (!/^[\w-]{32,128}$/.test(newest)) {
    throw new Error("OriginSecrets must be secrets of 32 to 128 letters, digits, _ and -, separated by a comma");
  }
  return code.replace("<origin secret>", newest);
}
