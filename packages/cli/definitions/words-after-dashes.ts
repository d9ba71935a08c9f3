let words: readonly string[] = [];

/**
 * Removes the arguments that the command passes on from a command line: those after the first `--`. rsync gets all of
 * its arguments but a leading `--json`, since its options are not ours.
 */
export function splitAtDashes(line: readonly string[]): readonly string[] {
  const [command = "", ...rest] = line;
  if (command === "rsync") {
    if (rest.length === 0 || /^(-h|--help)$/.test(rest.join(" "))) return line;
    const own = rest[0] === "--json" ? ["--json"] : [];
    words = rest.slice(own.length);
    return [command, ...own];
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
