interface Room {
  readonly most: number;
  /** What all entries may take as JSON, which is longer than what DynamoDB counts. */
  readonly bytes: number;
}

/** The first of them that fit. One that is too long is left out, and hides none behind it. */
export function firstThatFit<One>(all: readonly One[], { most, bytes }: Room): One[] {
  const listed: One[] = [];
  let left = bytes;
  for (const one of all) {
    if (listed.length === most) break;
    const size = bytesOf(one);
    if (size > left) continue;
    left -= size;
    listed.push(one);
  }
  return listed;
}

/** Counts the comma behind the value too. */
function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length + 1;
}
