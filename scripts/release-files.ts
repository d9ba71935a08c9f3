/** Version as npm reads it, without build metadata: 1.2.0 or 1.2.0-rc.1. */
const form = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?$/;

export function isVersion(text: string): boolean {
  return form.test(text);
}

/** Compares two versions by the rules of Semantic Versioning 2.0.0, section 11. Negative if the first one is older. */
export function compareVersions(left: string, right: string): number {
  const [, ...first] = form.exec(left) ?? [];
  const [, ...second] = form.exec(right) ?? [];
  for (const at of [0, 1, 2]) {
    const difference = Number(first[at]) - Number(second[at]);
    if (difference !== 0) return difference;
  }
  const [preOne, preOther] = [first[3], second[3]];
  if (preOne === preOther) return 0;
  if (preOne === undefined || preOther === undefined) return preOne === undefined ? 1 : -1;
  return comparePreReleases(preOne.split("."), preOther.split("."));
}

function comparePreReleases(left: readonly string[], right: readonly string[]): number {
  for (const [at, word] of left.entries()) {
    const against = right[at];
    if (against === undefined) return 1;
    if (word === against) continue;
    const [isNumber, againstNumber] = [/^\d+$/.test(word), /^\d+$/.test(against)];
    if (isNumber && againstNumber) return Number(word) - Number(against);
    if (isNumber !== againstNumber) return isNumber ? -1 : 1;
    return word < against ? -1 : 1;
  }
  return left.length - right.length;
}

export function changelogFor(text: string, version: string, date: string): string {
  const [, before, changes] = /^([\s\S]*?)^## Unreleased\n([\s\S]*)$/m.exec(text) ?? [];
  if (before === undefined || changes === undefined) throw new Error("CHANGELOG.md has no heading '## Unreleased'");
  const [ownName = "", ...older] = changes.split(/^(?=## )/m);
  const released = ownName.replace(/^Nothing has been released yet.*(\n\S.*)*\n/m, "").trim();
  if (released === "") throw new Error("CHANGELOG.md names no change under '## Unreleased'");
  return `${before}## Unreleased\n\n## ${version} - ${date}\n\n${released}\n${older.length > 0 ? "\n" : ""}${older.join("")}`;
}

export function packageWith(text: string, version: string): string {
  return text.replace(/^( {2}"version": ")[^"]+/m, `$1${version}`);
}

export function lockWith(text: string, version: string): string {
  const lock = JSON.parse(text);
  lock.version = version;
  for (const name of ["", "packages/cli", "packages/sdk"]) lock.packages[name].version = version;
  return `${JSON.stringify(lock, null, 2)}\n`;
}

export function constantWith(text: string, version: string): string {
  return text.replace(/^(export const version = ")[^"]+/m, `$1${version}`);
}
