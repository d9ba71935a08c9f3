/** Flag of every command. Standard error then has only errors. berth removes it before stricli reads the line. */
export const quietFlag = "--quiet";

/**
 * Reports whether a command line has `--quiet`, and returns the line without it. It does not search the words after
 * `--`, or those that berth passes to rsync.
 */
export function takeQuiet(line: readonly string[]): { readonly isQuiet: boolean; readonly line: readonly string[] } {
  const end = ownLength(line);
  const own = line.slice(0, end).filter((word) => word !== quietFlag);
  return { isQuiet: own.length < end, line: [...own, ...line.slice(end)] };
}

/** Returns how many words at the start of a line are for berth itself. */
function ownLength(line: readonly string[]): number {
  const command = line.findIndex((word) => word !== quietFlag);
  const isOwn =
    line[command] === "rsync"
      ? (word: string, at: number) => at <= command || word === quietFlag || word === "--json"
      : (word: string) => word !== "--";
  const end = line.findIndex((word, at) => !isOwn(word, at));
  return end < 0 ? line.length : end;
}
