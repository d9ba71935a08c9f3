import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
  "names the file that holds %s in place of identities, and what to do",
  (text) => {
    const path = join(home, "identities.json");
    writeFileSync(path, text);

    expect(() => localIdentities(home)).toThrow(new RegExp(`^${path} .*remove it to make new`));
  },
);
