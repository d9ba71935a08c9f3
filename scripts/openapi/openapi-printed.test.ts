import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { loadCatalog } from "#http/catalog.ts";
import type { DialectName } from "#http/dialect.ts";
import { openApiDocument } from "./openapi-document.ts";
import { listOperations, readDocument } from "./openapi-reading.ts";

const catalog = await loadCatalog();
const operations = listOperations(readDocument(openApiDocument(catalog)));
const dialects = new Map(
  catalog.endpoints.map(({ declaration }) => [
    `${declaration.method.toUpperCase()} ${declaration.path}`,
    declaration.dialect.name,
  ]),
);

// Requests that the dialects' documents print, as e2e tests send them.
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

/** Answers that they print; novita's prints none. */
const answerFiles: Readonly<Record<string, DialectName>> = {
  "../printed-answers/gpu-dev.http": "gpu-dev",
  "../printed-answers/session-manager.http": "session-manager",
  "../../tests/e2e/onmemos-examples.md": "onmemos",
  "../../tests/e2e/dev8.http": "dev8",
};

/** Printed bodies that are not examples, by unique text, with the reason. */
const noExamples: Readonly<Record<string, string>> = {
  '"Error Category"': "The form of all errors, as docs/apis/dev8.md#errors describes it: nothing is answered with it.",
  '"workspaceId": "short"': "A request that is to be refused. Its answer is printed behind it.",
};

interface PrintedAnswer {
  /** The call that the document prints directly above this answer; undefined if it prints none there. */
  readonly route: string | undefined;
  readonly dialect: DialectName;
  readonly body: string;
}

function listAnswers([file, dialect]: [string, DialectName]): PrintedAnswer[] {
  const text = readFileSync(new URL(file, import.meta.url), "utf8");
  const blocks = file.endsWith(".md") ? text.split(/^```(?:json)?\n/m) : text.split("###\n");
  return blocks.flatMap((body, at) => {
    const route = /^[A-Z]+ \/\S*/.exec(blocks[at - 1] ?? "")?.[0];
    return /^\{$/m.test(body.split("\n")[0] ?? "") ? [{ route, dialect, body }] : [];
  });
}

function listRequests(file: string): Printed[] {
  const text = readFileSync(new URL(`../../tests/e2e/${file}`, import.meta.url), "utf8");
  return [...text.matchAll(asHttp), ...text.matchAll(asCurl)].map(({ groups = {} }) => {
    const { method = "", path = "", body = "" } = groups;
    return { file, method, path, body };
  });
}

/** Parses a body that may have comments, or dots in place of further keys. */
function parsed(body: string): unknown {
  const whole = body.replaceAll(/(^|\s)(\/\/|#) .*$/gm, "");
  return JSON.parse(whole.replaceAll(/,\s*\.\.\.(?=\s*\})/g, "").replaceAll("{...}", "{}"));
}

function isCall(route: string, call: string): boolean {
  return new RegExp(`^${route.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(call);
}

/** Reports whether all printed keys exist with their values. Berth may have more keys. */
function isContained(printed: unknown, shown: unknown): boolean {
  if (typeof printed !== "object" || printed === null) return printed === shown;
  if (typeof shown !== "object" || shown === null) return false;
  if (Array.isArray(printed) && (!Array.isArray(shown) || shown.length !== printed.length)) return false;
  return Object.entries(printed).every(([key, value]) => isContained(value, Reflect.get(shown, key)));
}

test("every body that a document prints is an example of its operation", async () => {
  const printed = files.flatMap(listRequests);
  const isShown = ({ method, path, body }: Printed) =>
    operations.some(({ route, requestBody }) => {
      const examples = Object.values(requestBody?.content["application/json"]?.examples ?? {});
      return isCall(route, `${method} ${path}`) && examples.some(({ value }) => isDeepStrictEqual(value, parsed(body)));
    });

  const missing = printed.filter((printed) => !isShown(printed)).map(({ file, path }) => `${file} ${path}`);

  expect(printed.length).toBeGreaterThan(20);
  expect([...new Set(printed.map(({ file }) => file))]).toEqual(files);
  // Its credentials are dots, which the schema refuses.
  expect(missing).toEqual(["doc-examples.sh /v1/auth/aws-login"]);
});

test("every answer that a document prints is an example of its operation, except for Berth's additional keys", () => {
  const printed = Object.entries(answerFiles).flatMap(listAnswers);
  const isShown = ({ route: call, dialect, body }: PrintedAnswer) =>
    operations.some(({ route, responses }) => {
      const isIts = call === undefined ? dialects.get(route) === dialect : isCall(route, call);
      const examples = Object.values(responses).flatMap(({ content }) =>
        Object.values(content["application/json"]?.examples ?? {}),
      );
      return isIts && examples.some(({ value }) => isContained(parsed(body), value));
    });

  const missing = printed.filter((answer) => !isShown(answer)).map(({ body }) => body);

  expect(printed.length).toBe(44);
  expect(missing.map((body) => Object.keys(noExamples).find((words) => body.includes(words)) ?? body)).toEqual(
    Object.keys(noExamples),
  );
});
