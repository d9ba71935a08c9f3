/**
 * Files by name, at most some MiB each: logs, backups. A name is lower-case words, digits and `-`, in folders divided by
 * `/`. A call that hangs is given up: after 2 s where it is a disk, after 5 s where it is a service.
 */
export interface Blobs {
  /** Replaces what was there. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  get(name: string): Promise<Uint8Array | undefined>;
  /** Its size in bytes; undefined: there is none. */
  sizeOf(name: string): Promise<number | undefined>;
  /** Nothing happens when it is gone. */
  remove(name: string): Promise<void>;
  /** Removes all whose names begin with this one and a `/`. */
  removeUnder(name: string): Promise<void>;
  /**
   * An address from which anybody may read it for 15 minutes, whether or not it is there; undefined where this store has
   * none to give. Throws for a content type or file name that is more than one.
   */
  urlToGet(name: string, as: BlobKind): Promise<string | undefined>;
  /**
   * The same to write it: an address and the headers that must be sent to it. Whoever has it may write as many bytes as
   * one upload takes, as often as they like.
   */
  urlToPut(name: string): Promise<BlobUpload | undefined>;
}

/** What a browser is told of a blob that it gets. */
export interface BlobKind {
  readonly contentType: string;
  /** It is saved under this name and not shown. */
  readonly fileName: string;
}

export interface BlobUpload {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}
