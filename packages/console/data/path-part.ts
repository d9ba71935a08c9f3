/** Decodes a segment of a path. Returns undefined if its percent-encoding is invalid, as in `%ZZ`. */
export function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
