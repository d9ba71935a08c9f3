const LONGEST_NAME = 64;
const UID_DIGITS = 8;

/** Returns the new name of a disk that gives up its name to another disk. */
export function namedById(name: string, uid: string): string {
  return `${name.slice(0, LONGEST_NAME - UID_DIGITS - 1)}-${uid.slice(0, UID_DIGITS)}`;
}
