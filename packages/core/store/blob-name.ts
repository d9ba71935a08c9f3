// A name with dots or empty parts could leave a directory, name a draft, or reach another URL path.
const form = /^[a-z0-9][a-z0-9-]*(\/[a-z0-9][a-z0-9-]*)*$/;

/** Reports whether this is a valid blob name. File systems allow at most 255 bytes. */
export function isBlobName(name: string): boolean {
  return form.test(name) && name.length < 256;
}

export function requireBlobName(name: string): undefined {
  if (!isBlobName(name)) throw new Error("Invalid name of a blob");
}
