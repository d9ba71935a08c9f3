let words: readonly string[] = [];

/** Splits a command line at its first `--`, for commands that pass the rest on. */
export function splitAtDashes(line: readonly string[]): readonly string[] {
  const at = line.indexOf("--");
  const takesRest = ["up", "ssh"].includes(line[0] ?? "");
  if (at < 0 || !takesRest) return line;
  words = line.slice(at + 1);
  return line.slice(0, at);
}

/** Returns the words behind `--`. */
export function wordsAfterDashes(): readonly string[] {
  return words;
}
