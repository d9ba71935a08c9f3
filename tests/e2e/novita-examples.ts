import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ProgramResult, runProgram } from "./program.ts";

export interface Block {
  readonly language: string;
  readonly text: string;
}

/** Returns a document's blocks of commands, programs and headers in order. */
export function blocksIn(document: string): Block[] {
  return Array.from(
    document.matchAll(/^```(bash|javascript|python|http)\n([\s\S]*?)^```$/gm),
    ([, language = "", text = ""]) => ({ language, text }),
  );
}

/** Blocks of the document. */
export const transcription = blocksIn(readFileSync(join(import.meta.dirname, "novita-examples.md"), "utf8"));

/** Returns the only block with these words. Throws if there is none, or several. */
export function blockWith(words: string): string {
  const [block, ...more] = transcription.filter(({ text }) => text.includes(words));
  if (!block || more.length > 0) throw new Error(`The document does not have exactly one block with ${words}`);
  return block.text;
}

/** Replacements for printed texts, and additions around them. */
export interface Staging {
  readonly home: string;
  /** Base URL with the key in its path. */
  readonly base: string;
  readonly words?: Readonly<Record<string, string>>;
}

const printedBase = "http://localhost:3000";

/** Runs a block in bash, with shorter sleeps. */
export function runShell(block: string, staging: Staging): Promise<ProgramResult> {
  const commands = staged(block, staging).replaceAll(/^(\s*)sleep \d+$/gm, "$1sleep 0.2");
  writeFileSync(join(staging.home, ".curlrc"), "silent\nshow-error\n");
  const env = { PATH: process.env.PATH, HOME: staging.home, CURL_HOME: staging.home };
  return runProgram("bash", ["--norc", "-eu", "-c", commands], { env });
}

/** Fetch of a page, which resolves relative addresses against the service. */
const pageFetch = `
const dial = globalThis.fetch;
globalThis.fetch = (where, options) => dial(String(where).startsWith("/") ? process.env.BASE + where : where, options);
`;

/** Runs a block in Node. `before` and `after` are the parts that the document leaves to its reader. */
export function runNode(block: string, staging: Staging, [before, after]: [string, string]): Promise<ProgramResult> {
  const program = staged(block, staging).replaceAll("setTimeout(resolve, 5000)", "setTimeout(resolve, 200)");
  const file = join(staging.home, "example.mjs");
  writeFileSync(file, `${pageFetch}${before}\n${program}\n${after}\n`);
  return runProgram(process.execPath, [file], { env: { PATH: process.env.PATH, BASE: staging.base } });
}

/** Runs a block in python3 with the modules of a directory. */
export function runPython(block: string, staging: Staging, modules: string): Promise<ProgramResult> {
  const program = staged(block, staging).replaceAll("time.sleep(5)", "time.sleep(0.2)");
  const env = { PATH: process.env.PATH, HOME: staging.home, PYTHONPATH: modules, PYTHONDONTWRITEBYTECODE: "1" };
  return runProgram("python3", ["-c", program], { env });
}

function staged(block: string, { base, words = {} }: Staging): string {
  const pairs = Object.entries({ [printedBase]: base, ...words });
  return pairs.reduce((text, [from, to]) => text.replaceAll(from, to), block);
}

/** Replacement for `requests`, if python3 has none, with the functions that the document uses. */
export const requestsFake = `
import json as _json, urllib.request, urllib.error

class Response:
    def __init__(self, status, text):
        self.status_code, self.text = status, text
    def json(self):
        return _json.loads(self.text)

def _send(method, url, body):
    data = None if body is None else _json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(asked) as reply:
            return Response(reply.status, reply.read().decode())
    except urllib.error.HTTPError as refused:
        return Response(refused.code, refused.read().decode())

def post(url, json=None):
    return _send("POST", url, json)

def get(url):
    return _send("GET", url, None)
`;
