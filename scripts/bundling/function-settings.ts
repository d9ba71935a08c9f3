import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { allSettingSchemas } from "#aws/settings/pod-setting-schemas.ts";
import { settingNames } from "#aws/settings/settings.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Returns the settings that each function's code reads, by function name. It builds every function without packages and
 * without the readers of settings. A setting counts as read if the remaining code names its property in
 * `context.settings` or its environment variable. An equally named property elsewhere counts too, so a function may get
 * one setting too many. Throws for code that reads settings without their names.
 */
export async function functionSettings(
  functions: readonly { readonly name: string; readonly file: string }[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const outdir = join(root, "dist-settings");
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: functions.map(({ name, file }) => ({ in: file, out: name })),
    outdir,
    write: false,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node24",
    // Removes comments too.
    minifyWhitespace: true,
    legalComments: "none",
    plugins: [withoutReaders],
    logLevel: "silent",
  });
  const texts = new Map(outputFiles.map(({ path, text }) => [path, text]));
  return new Map(
    functions.map(({ name }) => [name, settingsIn(texts.get(join(outdir, `${name}.js`)) ?? "", name)] as const),
  );
}

/** These modules name every setting. */
const withoutReaders: Plugin = {
  name: "without-readers",
  setup({ onLoad }) {
    onLoad({ filter: /\/packages\/aws\/settings\/(settings|config|pod-setting-schemas)\.ts$/ }, () => ({
      contents: "export const { readSettings, readConfig, readConfigOf, allSettingSchemas } = globalThis;",
      loader: "js",
    }));
  },
};

const readers: readonly (readonly [setting: string, reads: RegExp])[] = [
  ...Object.entries(settingNames).map(
    ([property, name]) => [name, new RegExp(`(?<![\\w$])${property}(?![\\w$])`)] as const,
  ),
  ...Object.keys(allSettingSchemas).map((name) => [name, new RegExp(`(["'\`])${name}\\1`)] as const),
];

function settingsIn(text: string, name: string): string[] {
  const [unnamed] = /\.\.\.([\w$]+\.)*settings\b(?!\.)|\bsettings\[/.exec(text) ?? [];
  if (unnamed) throw new Error(`${name} reads settings without their names: ${unnamed}`);
  const names = new Set(readers.flatMap(([setting, reads]) => (reads.test(text) ? [setting] : [])));
  // Their values name machine types, so parsing them needs all types.
  if (names.has("NODE_GROUPS") || names.has("NODE_TYPES")) names.add("MACHINE_TYPES");
  return [...names].toSorted();
}
