let words: readonly string[] = [];

/**
 * Removes the arguments that the command passes on from a command line: those after the first `--`. rsync gets all of
 * its arguments, since its options are not ours.
 */
export function splitAtDashes(line: readonly string[]): readonly string[] {
  const [command = "", ...rest] = line;
  if (command === "rsync") {
    if (rest.length === 0 || /^(-h|--help)$/.test(rest.join(" "))) return line;
    words = rest;
    return [command];
  }
  const at = line.indexOf("--");
  if (at < 0 || !["up", "run", "ssh"].includes(command)) return line;
  words = line.slice(at + 1);
  return line.slice(0, at);
}

/** Returns the arguments to pass on. */
export function wordsAfterDashes(): readonly string[] {
  return words;
}
