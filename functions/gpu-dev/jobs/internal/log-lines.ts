export interface NewestLines {
  readonly text: string;
  /** There was more before them. */
  readonly isCut: boolean;
}

/** The newest lines of a text; a line break at its end begins no further line. */
export function newestLines(text: string, lines: number): NewestLines {
  let end = text.length - (text.endsWith("\n") ? 1 : 0);
  let start = 0;
  for (let found = 0; found < lines; found++) {
    end = end > 0 ? text.lastIndexOf("\n", end - 1) : -1;
    start = end + 1;
    if (end === -1) break;
  }
  const newest = encodable(text.slice(start));
  return { text: newest, isCut: newest.length < text.length };
}

/**
 * As JSON. A Lambda's answer may have 6 MB, and is itself JSON: a MiB of control characters would be 7 MB in it.
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 */
const MOST_ENCODED = 4 * 1024 * 1024;

function encodable(text: string): string {
  let kept = text;
  while (JSON.stringify(kept).length > MOST_ENCODED) kept = kept.slice(-Math.ceil(kept.length / 2));
  return kept.toWellFormed();
}
