import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { localIdentities } from "./identities.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-identities-"));
});
afterEach(() => rmSync(home, { recursive: true }));

it("keeps the identities of a home", () => {
  const made = localIdentities(home);

  expect(localIdentities(home)).toEqual(made);
});

it.each(["", "{", "null", "[]", '[{"session":"developer"},{"session":"second"}]', "[1,2]"])(
  "names a file that contains %s instead of identities, with advice",
  (text) => {
    const path = join(home, "identities.json");
    writeFileSync(path, text);

    expect(() => localIdentities(home)).toThrow(new RegExp(`^${path} .*remove it to create new`));
  },
);

it("adds the users of LOCAL_USERS with their own credentials and changes no other identity", () => {
  const [developer, second] = localIdentities(home);

  const named = localIdentities(home, ["ada", "second", "grace", "ada"]);
  const again = localIdentities(home, ["grace"]);

  expect(named.map(({ session }) => session)).toEqual(["developer", "second", "ada", "grace"]);
  expect(named.slice(0, 2)).toEqual([developer, second]);
  expect(new Set(named.flatMap(({ accessKeyId, secretAccessKey }) => [accessKeyId, secretAccessKey])).size).toBe(8);
  expect(again).toEqual([developer, second, named[3]]);
  expect(localIdentities(home, ["ada"])[2]).toEqual(named[2]);
  expect(statSync(join(home, "identities.json")).mode & 0o777).toBe(0o600);
});
