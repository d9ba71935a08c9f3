import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { functionSettings } from "./function-settings.ts";

let folder: string;

beforeEach(async () => {
  // Imports of `#aws/…` resolve only inside the project.
  folder = await mkdtemp(fileURLToPath(new URL(".settings-", import.meta.url)));
});

afterEach(() => rm(folder, { recursive: true }));

async function findSettings(files: Readonly<Record<string, string>>): Promise<readonly string[] | undefined> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const found = await functionSettings([{ name: "one", file: join(folder, "one.ts") }]);
  return found.get("one");
}

test.each([
  ["a property", "export const handler = (ctx) => ctx.settings.nodeGroups;", ["MACHINE_TYPES", "NODE_GROUPS"]],
  [
    "a destructured property",
    "export const handler = ({ settings: { idleDryRun } }) => idleDryRun;",
    ["AUTO_STOP_DRY_RUN"],
  ],
  ["a renamed property", "export const handler = ({ settings: { adminUsers: users } }) => users;", ["ADMIN_USERS"]],
  [
    "a name in the environment",
    'import { readConfig } from "#aws/settings/config.ts";\nexport const handler = () => readConfig(["TOOLS_IMAGE"]);',
    ["TOOLS_IMAGE"],
  ],
  ["a comment", "/** Of nodeGroups. */\nexport const handler = () => 1;", []],
  ["a type", 'type Some = { nodeGroups: "NODE_GROUPS" };\nexport const handler = (some: Some) => some;', []],
  [
    "a function that is not used",
    "const unused = (settings) => settings.nodeGroups;\nexport const handler = () => 1;",
    [],
  ],
  ["a longer word", "export const handler = (their) => their.nodeGroupsOfAll;", []],
])("%s is classified correctly", async (_, text, settings) => {
  expect(await findSettings({ "one.ts": text })).toEqual(settings);
});

test("a setting counts if a used function of another file reads it, and not if an unused one does", async () => {
  const otherName =
    "export const used = ({ settings }) => settings.maxQueueHours;\nexport const unused = ({ settings }) => settings.domain;";
  const name = 'import { used } from "./internal/other.ts";\nexport const handler = used;';

  expect(await findSettings({ "internal/other.ts": otherName, "one.ts": name })).toEqual(["MAX_QUEUE_HOURS"]);
});

test("the readers of settings name each setting but do not count", async () => {
  const name =
    'import { readSettings } from "#aws/settings/settings.ts";\nexport const handler = () => readSettings();';

  expect(await findSettings({ "one.ts": name })).toEqual([]);
});

test.each([
  "export const handler = ({ settings }) => ({ ...settings });",
  "export const handler = (ctx, name) => ctx.settings[name];",
])("code that reads settings without their names is refused: %s", async (text) => {
  await expect(findSettings({ "one.ts": text })).rejects.toThrow("one reads settings without their names");
});
