/**
 * Files by name, up to a few MiB each: logs, backups. A name has lower-case words, digits and `-`, in folders separated
 * by `/`. A hanging call fails after 2 s on a disk and after 5 s on a service.
 */
export interface Blobs {
  put(name: string, bytes: Uint8Array): Promise<void>;
  get(name: string): Promise<Uint8Array | undefined>;
  /** Returns the size in bytes, or undefined if there is no such blob. */
  getSize(name: string): Promise<number | undefined>;
  /** Does nothing if the blob does not exist. */
  remove(name: string): Promise<void>;
  /** Removes all blobs whose names begin with this name and a `/`. */
  removeUnder(name: string): Promise<void>;
  /**
   * Returns a URL from which anyone can read the blob for 15 minutes, even if it does not exist yet. Returns undefined
   * if this store has no URLs. Throws for an invalid content type or file name.
   */
  urlToGet(name: string, as: BlobKind): Promise<string | undefined>;
  /** Returns an upload URL with the headers to send. Its holder may upload repeatedly, up to the size limit. */
  urlToPut(name: string): Promise<BlobUpload | undefined>;
}

export interface BlobKind {
  readonly contentType: string;
  /** The browser saves the blob under this name instead of showing it. */
  readonly fileName: string;
}

export interface BlobUpload {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}
