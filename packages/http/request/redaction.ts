import type { FieldProblem } from "#core/problem.ts";

/**
 * Returns fields without secrets (docs/apis/gpu-dev.md#errors), cut to about 12 KB in all, because a client may send
 * a megabyte of mistakes.
 */
export function showableFields(fields: readonly FieldProblem[]): FieldProblem[] {
  const shown: FieldProblem[] = [];
  const buildInput = inputShower();
  let bytes = 0;
  for (const field of fields) {
    const next = showable(field, buildInput(field));
    bytes += Buffer.byteLength(JSON.stringify(next));
    if (shown.length > 0 && bytes > ALL_FIELDS_BYTES) return shown;
    shown.push(next);
  }
  return shown;
}

/** Replaces keys in a log text with `***`: in headers, paths and queries, even percent-encoded. */
export function withoutKeys(text: string): string {
  return text
    .replace(/((?:\/|%2f)(?:k|%[46]b)(?:\/|%2f))[^/?#\s"']+/gi, "$1***")
    .replace(/(api(?:_|%5f)key(?:=|%3d))[^&#\s"']+/gi, "$1***")
    .replace(/(bearer\s+|x-api-key\W+)[^\s"',}]+/gi, "$1***");
}

const ALL_FIELDS_BYTES = 12_000;
const ONE_INPUT_BYTES = 2_000;
const TEXT_LENGTH = 200;
/** Limit of shown list items or object entries. */
export const MOST_ENTRIES = 40;
const DEPTH = 4;
export const HIDDEN = "***";

function showable(field: FieldProblem, shown: unknown): FieldProblem {
  const { path, message } = field;
  const isLong = Buffer.byteLength(JSON.stringify(shown) ?? "") > ONE_INPUT_BYTES;
  return {
    ...field,
    path: path.map((part) => (typeof part === "string" ? cut(part) : part)),
    message: cut(message, 2 * TEXT_LENGTH),
    input: isLong ? cut(JSON.stringify(shown)) : shown,
  };
}

/** The input of all missing fields is the same surrounding object, so it is pruned once. */
function inputShower(): (field: FieldProblem) => unknown {
  const beside = new Map<unknown, unknown>();
  return ({ type, path, input }) => {
    if (type !== "missing") return isSecretPath(path) ? HIDDEN : pruned(input, String(path.at(-1)), DEPTH);
    if (!beside.has(input)) beside.set(input, pruned(input, "", DEPTH));
    return beside.get(input);
  };
}

/** A webhook URL often acts as a password, and a user may paste a private key for the public one. */
const secretNames: ReadonlySet<string> = new Set([
  "aws_secret_access_key",
  "aws_session_token",
  "aws_access_key_id",
  "iam_request_headers",
  "api_key",
  "githubToken",
  "codeServerPassword",
  "sshPublicKey",
  "gitUserName",
  "gitUserEmail",
  "anthropicApiKey",
  "openaiApiKey",
  "geminiApiKey",
  "webhookUrl",
  "webhook_url",
  "public_key",
  "registry_auth",
  "ssh_public_keys",
]);

/** Headers of private key files of OpenSSH, OpenSSL and PuTTY. */
const privateKey = /PRIVATE KEY-----|PuTTY-User-Key-File-/;

/** A presigned AWS URL grants the call that it signs, and may hold a session token. */
const presigned = /[?&]X-Amz-Signature=/i;

const secretMaps: ReadonlySet<string> = new Set(["env_vars", "env"]);

function isSecretPath(path: FieldProblem["path"]): boolean {
  return path.some((part, at) => secretNames.has(String(part)) || secretMaps.has(String(path[at - 1])));
}

function pruned(value: unknown, name: string, depth: number): unknown {
  if (secretNames.has(name) || (secretMaps.has(name) && !isMap(value))) return HIDDEN;
  if (typeof value === "string") return privateKey.test(value) || presigned.test(value) ? HIDDEN : cut(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "…";
  if (Array.isArray(value)) return value.slice(0, MOST_ENTRIES).map((entry) => pruned(entry, "", depth - 1));
  const shown = (key: string, entry: unknown) => (secretMaps.has(name) ? HIDDEN : pruned(entry, key, depth - 1));
  return Object.fromEntries(shownEntries(value).map(([key, entry]) => [cut(key), shown(key, entry)]));
}

export function shownEntries(value: object): [name: string, entry: unknown][] {
  const entries = value as Readonly<Record<string, unknown>>;
  // Not Object.entries, which would read the other 60,000 values too.
  return Object.keys(entries)
    .slice(0, MOST_ENTRIES)
    .map((name) => [name, entries[name]]);
}

function isMap(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function cut(text: string, length = TEXT_LENGTH): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
