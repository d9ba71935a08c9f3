import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { readHostKeys } from "./host-keys.ts";

const [first, second] = [newSshKey(), newSshKey()];
const damaged = first.private.replace("\n", "\nAAAA");
let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-keys-"));
  file = join(folder, "keys");
});
afterEach(() => rm(folder, { recursive: true }));

it("reads keys in the order of the file, and derives their public keys", async () => {
  await writeFile(file, `${first.private.trim()}\n\n${second.private}`);

  const keys = await readHostKeys(file);

  expect(keys.map((key) => key.public)).toEqual(
    [first.public, second.public].map((key) => key.split(" ", 2).join(" ")),
  );
  expect(keys.map((key) => key.private)).toEqual([first.private.trim(), second.private.trim()]);
});

it.each([
  ["no key", "\n", /: \S+ is empty$/],
  ["a public key", first.public, /: key 1 of \S+ is none$/],
  ["a damaged key", damaged, /: key 1 of \S+ is none$/],
  ["a damaged second key", `${first.private}${damaged}`, /: key 2 of \S+ is none$/],
])("refuses a file with %s, and shows none of it", async (_, text, problem) => {
  await writeFile(file, text);

  const failed = await readHostKeys(file).catch((error: Error) => error.message);

  expect(failed).toMatch(/^Bad settings:\n {2}HOST_KEY_FILE must name a file with private ed25519 keys of OpenSSH/);
  expect(failed).toMatch(problem);
  expect(failed).not.toContain("AAAA");
});

it("names a file that cannot be read", async () => {
  await expect(readHostKeys(file)).rejects.toThrow(`${file} cannot be read (ENOENT)`);
});
