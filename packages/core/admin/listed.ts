interface Room {
  readonly most: number;
  /** The most bytes of all entries as JSON, which is longer than the size that DynamoDB counts. */
  readonly bytes: number;
}

/** Returns the first entries that fit. An entry that is too long is skipped. */
export function firstThatFit<One>(all: readonly One[], { most, bytes }: Room): One[] {
  const listed: One[] = [];
  let left = bytes;
  for (const entry of all) {
    if (listed.length === most) break;
    const size = getBytes(entry);
    if (size > left) continue;
    left -= size;
    listed.push(entry);
  }
  return listed;
}

function getBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length + 1;
}
