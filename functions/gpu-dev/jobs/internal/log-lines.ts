export interface NewestLines {
  readonly text: string;
  readonly isCut: boolean;
}

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
 * Limit as JSON. A Lambda answer may have 6 MB, and is itself JSON: a MiB of control characters would grow to 7 MB.
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 */
const MOST_ENCODED = 4 * 1024 * 1024;

function encodable(text: string): string {
  let kept = text;
  while (JSON.stringify(kept).length > MOST_ENCODED) kept = kept.slice(-Math.ceil(kept.length / 2));
  return kept.toWellFormed();
}
