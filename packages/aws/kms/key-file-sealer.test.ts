import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sealerConformance } from "#tests/conformance/sealer.ts";
import { keyFileSealer, newKeyText } from "./key-file-sealer.ts";

const writeKey = (file: string) => writeFileSync(file, newKeyText(), { mode: 0o600 });

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-sealer-"));
  path = join(directory, "key");
  writeKey(path);
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("the sealer with a key file", () => {
  sealerConformance(async () => keyFileSealer(path));

  it("opens text that an earlier process sealed with the same file, and only with it", async () => {
    const sealed = await keyFileSealer(path).seal("secret", "a|1");
    const otherPath = join(directory, "other");
    writeKey(otherPath);

    expect(await keyFileSealer(path).open(sealed, "a|1")).toBe("secret");
    await expect(keyFileSealer(otherPath).open(sealed, "a|1")).rejects.toThrow();
  });

  it("seals the same text differently each time", async () => {
    const sealer = keyFileSealer(path);

    expect(await sealer.seal("secret", "a|1")).not.toBe(await sealer.seal("secret", "a|1"));
  });

  it("refuses a key that others may read, and a file without a key", () => {
    chmodSync(path, 0o640);
    expect(() => keyFileSealer(path)).toThrow("must have mode 600");

    chmodSync(path, 0o600);
    writeFileSync(path, "short");
    expect(() => keyFileSealer(path)).toThrow("does not contain a key");
  });
});
