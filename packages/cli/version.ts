/** Version of the command line. package.json has the same. */
export const version = "1.0.0";

/** Reports whether a version is older than another one. */
export function isOlder(ownVersion: string, otherVersion: string): boolean {
  return ownVersion.localeCompare(otherVersion, "en", { numeric: true }) < 0;
}
