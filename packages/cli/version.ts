/** Version of the command line. package.json has the same. */
export const version = "1.0.0";

/**
 * Reports whether a version, three numbers with dots, is older than another one. Comparing them as texts of a language
 * would load its rules, which takes 10 ms.
 */
export function isOlder(ownVersion: string, otherVersion: string): boolean {
  const otherNumbers = otherVersion.split(".").map(Number);
  const differences = ownVersion.split(".").map((number, at) => Number(number) - (otherNumbers[at] ?? 0));
  return (differences.find((difference) => difference !== 0) ?? 0) < 0;
}
