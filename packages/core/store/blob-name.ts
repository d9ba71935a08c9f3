// No dot, no empty part: no name leads out of a directory, to a draft, or to another path of a URL.
const form = /^[a-z0-9][a-z0-9-]*(\/[a-z0-9][a-z0-9-]*)*$/;

/** Whether a blob may have this name, also where blobs are files, whose names have at most 255 bytes. */
export function isBlobName(name: string): boolean {
  return form.test(name) && name.length < 256;
}

/** Throws for anything else. */
export function requireBlobName(name: string): undefined {
  if (!isBlobName(name)) throw new Error("Not the name of a blob");
}
