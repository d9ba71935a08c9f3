const LONGEST_NAME = 64;
const UID_DIGITS = 8;

export function namedById(name: string, uid: string): string {
  return `${name.slice(0, LONGEST_NAME - UID_DIGITS - 1)}-${uid.slice(0, UID_DIGITS)}`;
}
