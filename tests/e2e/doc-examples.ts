import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "./program.ts";

/** The document's curl examples below the headings of their endpoints. */
export const transcription = readFileSync(join(import.meta.dirname, "doc-examples.sh"), "utf8");

const examples = new Map(
  Array.from(transcription.matchAll(/^### (\d+)\. .+\n([\s\S]*?)(?=\n### |$(?![\s\S]))/gm), ([, number, commands]) => [
    Number(number),
    commands ?? "",
  ]),
);

/** Numbers of the endpoints with an example. */
export const exampleNumbers = [...examples.keys()];

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Replacements for printed words, and variables that the examples read. */
export interface Changes {
  readonly words?: Readonly<Record<string, string>>;
  readonly variables: { readonly API_URL: string; readonly API_KEY?: string };
}

/**
 * Runs the commands of one example in bash, and returns the answer to each. Throws if one fails or prints anything
 * else. A curl setting in `home` adds the status, so that no command needs a change.
 */
export async function runExample(home: string, number: number, { words = {}, variables }: Changes): Promise<Answer[]> {
  const printed = examples.get(number);
  if (printed === undefined) throw new Error(`The document has no example ${number}`);
  const commands = Object.entries(words).reduce((text, [from, to]) => text.replaceAll(from, to), printed);
  writeFileSync(join(home, ".curlrc"), 'silent\nshow-error\nwrite-out = "\\n%{http_code}\\n"\n');
  const env = { PATH: process.env.PATH, HOME: home, CURL_HOME: home, ...variables };
  // Without --norc, bash would believe that it is a remote shell, and run the machine's rc file.
  const { code, stdout, stderr } = await runProgram("bash", ["--norc", "-eu", "-c", commands], { env });
  if (code !== 0 || stderr !== "") throw new Error(`Example ${number} ended with ${code}: ${stderr}`);
  return Array.from(stdout.matchAll(/^(.*)\n(\d{3})\n/gm), ([, body = "", status]) => ({
    status: Number(status),
    body: JSON.parse(body),
  }));
}
