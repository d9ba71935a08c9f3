import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { derivePublicKey } from "#gateway/ssh/login/ssh-keys.ts";
import { sshHostKey } from "./ssh-host-key.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-host-key-"));
});

afterEach(() => rmSync(home, { recursive: true }));

it("the host key is the same at every start", () => {
  const first = sshHostKey(home);

  expect(sshHostKey(home)).toBe(first);
  expect(derivePublicKey(first)).toMatch(/^ssh-ed25519 /);
});

it.each([
  ["is empty", ""],
  ["contains something else", "no key\n"],
])("the host key is reported with advice if its file %s", (_, text) => {
  const path = join(home, "ssh-host-key");
  writeFileSync(path, text);

  expect(() => sshHostKey(home)).toThrow(
    `${path} is damaged: it contains no private key.\nPut it back from a copy, or remove the file`,
  );
});

it.each([1_024, 1_536])("a host key is refused if it is an RSA key of %d bits", (modulusLength) => {
  const path = join(home, "ssh-host-key");
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength });
  writeFileSync(path, privateKey.export({ type: "pkcs1", format: "pem" }));

  expect(() => sshHostKey(home)).toThrow(
    `${path} is too weak. The RSA key has ${modulusLength} bits, and at least 2048 are required: create another key with ssh-keygen -t ed25519, or remove the file`,
  );
});
