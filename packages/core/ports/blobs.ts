/**
 * Files by name, at most some MiB each: logs, backups. A name is lower-case words, digits and `-`, in folders divided by
 * `/`. A call that hangs is given up after 2 s.
 */
export interface Blobs {
  /** Replaces what was there. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  get(name: string): Promise<Uint8Array | undefined>;
  /** Nothing happens when it is gone. */
  remove(name: string): Promise<void>;
  /** Removes all whose names begin with this one and a `/`. */
  removeUnder(name: string): Promise<void>;
}
