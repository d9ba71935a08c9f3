import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { type Document, isMap, isNode, isSeq, LineCounter, parseDocument, visit } from "yaml";
import * as z from "zod/mini";
import { parseHours, parseSeconds } from "../definitions/parameters.ts";
import { CliError, exitCodes } from "../failure.ts";
import { nearestWord } from "../terminal/nearest-word.ts";
import { printable } from "../terminal/text.ts";
import { JobFile } from "./job-file-schema.ts";
import type { JobSettings } from "./submit-request.ts";

const mostBytes = 64 * 1024;
const fileHint = "Name another file with --file";

/** Reads the settings of a job from a YAML file. Errors name the line and the column. */
export function readJobFile(path: string): JobSettings {
  return parseJobFile(readBounded(path), path);
}

function readBounded(path: string): string {
  const name = printable(path);
  let file: number;
  try {
    // A named pipe without a writer would block the open.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new CliError(`${name} cannot be read: ${(error as NodeJS.ErrnoException).code}`, exitCodes.usage, fileHint);
  }
  try {
    const { size } = fstatSync(file);
    if (!fstatSync(file).isFile()) throw new CliError(`${name} is not a file`, exitCodes.usage, fileHint);
    if (size > mostBytes) throw new CliError(`${name} is larger than 64 KiB`, exitCodes.usage, fileHint);
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** Returns the settings that a text holds. */
export function parseJobFile(text: string, path: string): JobSettings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  try {
    return readSettings(document);
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error;
    const { line, col } = lines.linePos(error.offset);
    const words = `${printable(path)}, line ${line}, column ${col}: ${printable(error.message)}`;
    throw new CliError(words, exitCodes.usage, "The keys are the flags of: berth up --help");
  }
}

/** A problem at one place of the text. */
class FileProblem extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

function readSettings(document: Document): JobSettings {
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) throw new FileProblem(problem.message, problem.pos[0]);
  // Ten lines of aliases can stand for a billion values.
  visit(document, {
    Alias(_key, { range }) {
      throw new FileProblem("aliases are not allowed", range?.[0] ?? 0);
    },
  });
  const result = JobFile.safeParse(document.toJS() ?? {});
  if (result.success) return settingsFrom(result.data, document);
  const [issue] = result.error.issues;
  throw toProblem(issue, document);
}

function settingsFrom(
  { hours, min_hours, grace, disk_size, env, command, pull, ...rest }: z.infer<typeof JobFile>,
  document: Document,
) {
  const texts = env && Object.entries(env).map(([name, value]) => [name, String(value)] as const);
  return {
    ...rest,
    hours: hours === undefined ? undefined : readTime("hours", () => parseHours(String(hours)), document),
    minHours:
      min_hours === undefined ? undefined : readTime("min_hours", () => parseHours(String(min_hours)), document),
    grace: grace === undefined ? undefined : readTime("grace", () => parseSeconds(String(grace)), document),
    diskSize: disk_size,
    env: texts && Object.fromEntries(texts),
    command: typeof command === "string" ? [command] : command,
    pull: typeof pull === "string" ? [pull] : pull,
  };
}

function readTime(key: "hours" | "min_hours" | "grace", parse: () => number, document: Document): number {
  try {
    return parse();
  } catch {
    throw new FileProblem(takes(key), getOffset(document, [key]));
  }
}

/** Values are left out of the message: those of `env` may be secrets. */
function toProblem(issue: z.core.$ZodIssue | undefined, document: Document): FileProblem {
  const path = issue?.path ?? [];
  if (issue?.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const nearest = nearestWord(key, keys) ?? apiNames[key];
    const words = nearest === undefined ? "" : `. Did you mean ${nearest}?`;
    return new FileProblem(`there is no key '${key}'${words}`, getOffset(document, [...path, key], "key"));
  }
  const [key] = path;
  if (key === undefined) return new FileProblem("the file is a mapping of keys to values", 0);
  return new FileProblem(takes(String(key)), getOffset(document, path));
}

const keys = Object.keys(JobFile.shape);

/** Names of the API that differ from those of the flags. */
const apiNames: Readonly<Record<string, string>> = {
  instance_type: "type",
  gpu_type: "type",
  gpu_count: "gpus",
  duration_hours: "hours",
  min_duration_hours: "min_hours",
  disk_name: "disk",
  disk_size_gb: "disk_size",
  env_vars: "env",
  github_user: "github",
  jupyter_enabled: "jupyter",
  on_interruption: "requeue",
  grace_seconds: "grace",
};

function takes(key: string): string {
  return `${key} takes ${z.globalRegistry.get(JobFile.shape[key as keyof typeof JobFile.shape])?.description}`;
}

/** Returns where the value at a path, or its key, begins. */
function getOffset({ contents }: Document, path: readonly PropertyKey[], part: "key" | "value" = "value"): number {
  let node: unknown = contents;
  let offset = 0;
  for (const [at, step] of path.entries()) {
    const pair = isMap(node) ? node.items.find(({ key }) => String(key) === String(step)) : undefined;
    node = isSeq(node) ? node.items[Number(step)] : pair?.value;
    const wanted = part === "key" && at === path.length - 1 ? pair?.key : (node ?? pair?.key);
    if (isNode(wanted)) offset = wanted.range?.[0] ?? offset;
  }
  return offset;
}
