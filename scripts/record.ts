import { parseArgs } from "node:util";
import { printableJson } from "#aws/log.ts";
import { readConfig } from "#aws/settings/config.ts";
import { findStored, setStored } from "#local/home/stores.ts";
import { printableError } from "#local/shell-text.ts";

/** Prints records of the local stack by key or id. `--set <field>=<JSON>` changes one first (docs/operate.md). */
try {
  const options = { set: { type: "string", multiple: true, default: [] as string[] } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [name] = positionals;
  if (name === undefined) throw new Error("Usage: npm run record -- <key or id> [--set <field>=<JSON>]");
  const { BERTH_HOME } = readConfig(["BERTH_HOME"]);
  const fields = Object.fromEntries(values.set.map(getField));
  const found = values.set.length > 0 ? [await setStored(BERTH_HOME, name, fields)] : findStored(BERTH_HOME, name);
  if (found.length === 0) throw new Error(`There is no record ${name}`);
  for (const item of found) console.log(printableJson(item, 2));
} catch (error) {
  console.error(printableError(error));
  process.exitCode = 1;
}

function getField(text: string): [string, unknown] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new Error(`Not a field: ${text}. Write it as phase='"queued"'`);
  return [text.slice(0, equals), JSON.parse(text.slice(equals + 1))];
}
