import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rememberKey } from "./job-entries.ts";
import { readProfiles, removeProfile, renewProfile, saveProfile } from "./profiles.ts";

let state: string;
const before = process.env.XDG_CONFIG_HOME;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "berth-profiles-"));
  process.env.XDG_CONFIG_HOME = state;
});
afterEach(() => {
  process.env.XDG_CONFIG_HOME = before;
  if (before === undefined) delete process.env.XDG_CONFIG_HOME;
  rmSync(state, { recursive: true });
});

const profile = { key: "k", expiresAt: "2030-01-01T00:00:00Z", username: "u", source: { kind: "given" } } as const;

test("the renewal of one deployment's key does not make it the current deployment", () => {
  saveProfile("https://one.example", profile);
  saveProfile("https://two.example", profile);
  renewProfile("https://one.example", { ...profile, key: "renewed" });

  expect(readProfiles()).toMatchObject({
    current: "https://two.example",
    profiles: { "https://one.example": { key: "renewed" } },
  });
});

test("a logout from another deployment leaves the current one current", () => {
  for (const name of ["one", "two", "three"]) saveProfile(`https://${name}.example`, profile);
  removeProfile("https://two.example");
  expect(readProfiles().current).toBe("https://three.example");
  removeProfile("https://three.example");
  expect(readProfiles().current).toBe("https://one.example");
});

test.each(["../../escaped", "..", ".", "a/b", "", "a\0b"])(
  "a job id %j that names another file is refused",
  (job_id) => {
    expect(() => rememberKey({ job_id }, "ssh-ed25519 AAAA")).toThrow("is not a file name");
    expect(readdirSync(state)).toEqual([]);
  },
);
