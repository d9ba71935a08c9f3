import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { loadCatalog } from "#http/catalog.ts";
import { loadNounDocuments, openApiDocument } from "./openapi-document.ts";
import { operationsOf, readDocument } from "./openapi-reading.ts";

const catalog = await loadCatalog();
const operations = operationsOf(readDocument(openApiDocument(catalog, await loadNounDocuments(catalog))));

// The requests that the dialects' documents print, as e2e tests send them.
const files = [
  ...["dev8.http", "dev8.sh", "doc-examples.sh", "novita-examples.md"],
  ...["onmemos-examples.md", "session-manager.sh"],
];

interface Printed {
  readonly file: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

const asHttp = /^(?<method>[A-Z]+) (?<path>\/\S*).*\n(?:[\w-]+:.*\n)*\n(?<body>\{[\s\S]*?^\})/gm;
const asCurl =
  /curl -X (?<method>[A-Z]+) "?(?:http:\/\/[^/"\s]+|\$\w+)(?<path>[^"\s?]*)[^\n]*\n(?:\s+-H .*\n)*\s+-d '(?<body>\{[\s\S]*?\})'/g;

function requestsOf(file: string): Printed[] {
  const text = readFileSync(new URL(`../packages/local/e2e/${file}`, import.meta.url), "utf8");
  return [...text.matchAll(asHttp), ...text.matchAll(asCurl)].map(({ groups = {} }) => {
    const { method = "", path = "", body = "" } = groups;
    return { file, method, path, body };
  });
}

/** Some are printed with comments. */
function parsed(body: string): unknown {
  return JSON.parse(body.replaceAll(/(^|\s)\/\/ .*$/gm, ""));
}

test("every body that a document prints is an example of its operation", async () => {
  const printed = files.flatMap(requestsOf);
  const isShown = ({ method, path, body }: Printed) =>
    operations.some(({ route, requestBody }) => {
      const isIts = new RegExp(`^${route.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(`${method} ${path}`);
      const examples = Object.values(requestBody?.content["application/json"]?.examples ?? {});
      return isIts && examples.some(({ value }) => isDeepStrictEqual(value, parsed(body)));
    });

  const missing = printed.filter((one) => !isShown(one)).map(({ file, path }) => `${file} ${path}`);

  expect(printed.length).toBeGreaterThan(20);
  expect([...new Set(printed.map(({ file }) => file))]).toEqual(files);
  // Its credentials are dots, which no schema of credentials lets through.
  expect(missing).toEqual(["doc-examples.sh /v1/auth/aws-login"]);
});
