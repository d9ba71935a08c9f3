import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { loadCatalog } from "#http/catalog.ts";
import { cliPage } from "../packages/cli/cli-page.ts";
import { jobFileSchema } from "../packages/cli/jobs/job-file-schema.ts";
import { nodeGroupsSchema } from "../stacks/cluster/node-group-schema.ts";
import { functionList } from "./bundling/function-list.ts";
import { openApiDocument } from "./openapi/openapi-document.ts";
import { sdkTypes } from "./openapi/sdk-types.ts";

/** Writes the generated files. With --check it only compares them, and fails if one is stale. */
const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });

const catalog = await loadCatalog();
const document = openApiDocument(catalog);
const files = {
  "openapi.json": formatText(document),
  "functions.json": formatText(await functionList(catalog)),
  "docs/cli.md": cliPage(),
  "packages/cli/berth.schema.json": formatText(jobFileSchema()),
  "stacks/cluster/node-groups.schema.json": formatText(nodeGroupsSchema()),
  "packages/sdk/schema.ts": await sdkTypes(document),
};
const stale = Object.entries(files).filter(([name, text]) => existing(name) !== text);

if (values.check) {
  for (const [name] of stale) console.error(`${name} is stale: run \`npm run generate\` and commit it.`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [name, text] of stale) writeFileSync(getUrl(name), text);
  console.log(stale.length > 0 ? `Wrote ${stale.map(([name]) => name).join(" and ")}.` : "Nothing to write.");
}

function existing(name: string): string | undefined {
  try {
    return readFileSync(getUrl(name), "utf8");
  } catch {
    return undefined;
  }
}

function getUrl(name: string): URL {
  return new URL(`../${name}`, import.meta.url);
}

function formatText(content: unknown): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}
