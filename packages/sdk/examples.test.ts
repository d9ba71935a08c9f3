import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "../../tests/e2e/program.ts";

/** The comment above a public method or exported function. */
interface Documented {
  readonly name: string;
  readonly example: string | undefined;
}

const nouns = ["berth", "jobs", "disks", "keys", "web", "webhooks", "admin"];
const comment = /\/\*\*(?:(?!\*\/)[\s\S])*\*\//;
const method = new RegExp(`(${comment.source}\\n)?^ {2}(?:async )?\\*?([a-z]\\w*)[(<]`, "gm");
const exported = new RegExp(`(${comment.source}\\n)?^export (?:async )?function ([a-z]\\w*)[(<]`, "gm");

/** Returns the public methods of the client's classes, and the exported functions that users import. */
function publicFunctions(): Documented[] {
  const inFile = (file: string, declaration: RegExp) => {
    const found = [...formatText(file).matchAll(declaration)].filter(([, , name]) => name !== "constructor");
    return found.map(([, above = "", name]) => ({ name: `${file}: ${name}`, example: exampleIn(above) }));
  };
  return [...nouns.flatMap((noun) => inFile(`${noun}.ts`, method)), ...inFile("aws.ts", exported)];
}

function formatText(file: string): string {
  return readFileSync(join(import.meta.dirname, file), "utf8");
}

function exampleIn(text: string): string | undefined {
  const [, code] = /@example\n([\s\S]*)\*\//.exec(text) ?? [];
  return code?.replace(/^ *\* ?/gm, "").trim();
}

test("every public function of the SDK has an example", () => {
  const functions = publicFunctions();

  expect(functions.length).toBeGreaterThan(35);
  expect(functions.filter(({ example }) => !example).map(({ name }) => name)).toEqual([]);
});

test("every example of the SDK has the types of the SDK", async () => {
  const all = globSync("*.ts", { cwd: import.meta.dirname })
    .filter((file) => !/(\.test|-fixture)\.ts$/.test(file))
    .flatMap((file) => [...formatText(file).matchAll(new RegExp(comment, "g"))])
    .flatMap(([text]) => exampleIn(text) ?? []);
  const directory = mkdtempSync(join(tmpdir(), "berth-examples-"));
  const from = (file: string) => JSON.stringify(join(import.meta.dirname, file));
  const head = [
    `import { Berth, BerthError } from ${from("index.ts")};`,
    `import { awsLogin } from ${from("aws.ts")};`,
    `import type { AwsLoginOptions } from ${from("aws.ts")};`,
    "declare const process: { env: Record<string, string>; stdout: { write(text: string): void } };",
    "declare const location: { origin: string }; declare const code: string;",
    "declare const url: string; declare function fromNodeProviderChain(): AwsLoginOptions['credentials'];",
    "export async function all(berth: Berth): Promise<unknown[]> { return [Berth, BerthError, awsLogin, berth]; }",
  ];
  const bodies = all.map(
    (code, at) =>
      `export async function example${at}(${/const berth =/.test(code) ? "" : "berth: Berth"}) {\n${code}\n}`,
  );
  writeFileSync(join(directory, "examples.ts"), [...head, ...bodies].join("\n"));
  const options = {
    extends: join(import.meta.dirname, "tsconfig.json"),
    compilerOptions: {
      noEmit: true,
      rootDir: "/",
      declaration: false,
      rewriteRelativeImportExtensions: false,
      allowImportingTsExtensions: true,
      noUnusedLocals: false,
    },
    include: ["examples.ts"],
  };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(options));
  writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module" }));

  const { code, stdout } = await runProgram("npx", ["--no-install", "tsc", "-p", directory], {
    cwd: import.meta.dirname,
  });
  rmSync(directory, { recursive: true });

  expect(all.length).toBeGreaterThan(35);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
});
