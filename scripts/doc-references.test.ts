import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as z from "zod";

const root = fileURLToPath(new URL("..", import.meta.url));
const written = ["*.md", ".ci/*", "{docs,functions,images,packages,scripts,stacks,tests}/**/*.{ts,mjs,md,py,sh}"];
const files = globSync(written, { cwd: root }).toSorted();

interface Reference {
  readonly file: string;
  readonly text: string;
  readonly target: string;
  readonly heading: string | undefined;
}

/** Finds `docs/apis/dev8.md#activity` anywhere, and in a document also `[words](../operate.md#orphans)`. */
function referencesIn(file: string): Reference[] {
  const content = readFileSync(join(root, file), "utf8");
  const cited = content.matchAll(/(?<![\w/.])(docs\/[\w/-]+\.md)(?:#([\w-]+))?/g);
  const named = [...cited].map(([text, target = "", heading]) => ({ file, text, target, heading }));
  if (!file.endsWith(".md")) return named;
  const linked = content.replace(/`[^`]*`/g, "").matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([\w-]+))?\)/g);
  const links = [...linked].map(([text, path = "", heading]) => {
    return { file, text, target: path === "" ? file : normalize(join(dirname(file), path)), heading };
  });
  return [...named, ...links];
}

/** Returns the anchors that a code host generates for headings. */
function listAnchors(document: string): ReadonlySet<string> {
  const headings = readFileSync(join(root, document), "utf8").matchAll(/^#+ (.+)$/gm);
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-");
  return new Set([...headings].map(([, heading = ""]) => slug(heading)));
}

function isThere({ target, heading }: Reference): boolean {
  if (!existsSync(join(root, target))) return false;
  return heading === undefined || (target.endsWith(".md") && listAnchors(target).has(heading));
}

const Functions = z.array(z.object({ kind: z.string(), route: z.string().optional() }));

const references = files.flatMap(referencesIn);

test("every document and heading that the code or a document names exists", () => {
  const dangling = references.filter((reference) => !isThere(reference));

  expect(references.length).toBeGreaterThan(80);
  expect(dangling.map(({ file, text }) => `${file}: ${text}`)).toEqual([]);
});

test("every file of the repository that a document names exists", () => {
  const documents = globSync(["*.md", "docs/**/*.md", "packages/*/README.md"], { cwd: root });
  // Both name deleted files.
  const current = documents.filter((file) => !["CHANGELOG.md", "docs/architecture/renamed.md"].includes(file));
  const named = current.flatMap((document) => {
    const paths = readFileSync(join(root, document), "utf8").matchAll(
      /`((?:deploy|functions|images|packages|scripts|stacks|tests|tools)\/[\w./-]+)`/g,
    );
    return [...paths].map(([, path = ""]) => ({ document, path }));
  });

  const missing = named.filter(({ path }) => !existsSync(join(root, path)));

  expect(named.length).toBeGreaterThan(50);
  expect(missing).toEqual([]);
});

test("every endpoint is named by a page, with its method and path", () => {
  const functions = Functions.parse(JSON.parse(readFileSync(join(root, "functions.json"), "utf8")));
  const routes = functions.flatMap(({ kind, route }) => (kind === "endpoint" && route !== undefined ? [route] : []));
  // Pages may choose the names of parameters.
  const unnamed = (text: string) => text.replace(/\{\w+\}/g, "{}");
  const pages = ["docs/operate.md", ...globSync("docs/apis/*.md", { cwd: root })];
  const named = unnamed(pages.map((page) => readFileSync(join(root, page), "utf8")).join("\n"));

  const missing = routes.filter(
    (route) => !named.includes(`\`${unnamed(route)}\``) && !named.includes(`\`${unnamed(route)} `),
  );

  expect(routes.length).toBeGreaterThan(50);
  expect(missing).toEqual([]);
});

test("nothing cites a document that is not in the repository", () => {
  const outside = /\bcontracts?[/:]\s*(\*\s*)?[a-z0-9-]+,?\s+(\*\s*)?section|\bdesign\s+(\*\s*)?section/;
  const citing = files.filter((file) => file !== "scripts/doc-references.test.ts");

  const found = citing.filter((file) => outside.test(readFileSync(join(root, file), "utf8")));

  expect(found).toEqual([]);
});
