import type { FieldProblem } from "#core/problem.ts";
import { HttpError } from "../answers/http-error.ts";
import type { PlainHeaders, PlainRequest } from "./plain-request.ts";
import { readPairs } from "./query.ts";

const LIMIT_BYTES = 1_048_576;

export function requireSmallBody(headers: PlainHeaders): void {
  if (Number(headers.get("content-length")) > LIMIT_BYTES) throw new HttpError("tooLarge");
}

export interface BodyRules {
  readonly comments: boolean;
  readonly form: boolean;
}

/**
 * Returns the body as an object and ignores its content type. An empty body is `{}`
 * (docs/apis/common.md#headers-and-bodies). Throws an HttpError if it is larger than 1 MiB, encoded, or not a JSON
 * object in UTF-8.
 */
export async function readObject(
  request: PlainRequest,
  { comments, form }: BodyRules,
): Promise<Record<string, unknown>> {
  const text = await readText(request);
  if (text.trim() === "") return {};
  if (form && /^[^{["]+=/.test(text.trimStart())) return readPairs(text.trim());
  const value = parseJson(comments ? withoutComments(text) : text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw noObject();
  return value as Record<string, unknown>;
}

async function readText(request: PlainRequest): Promise<string> {
  requireSmallBody(request.headers);
  const bytes = request.headers.has("content-length") ? await wholeBody(request) : await limitedBody(request);
  if (bytes.byteLength > LIMIT_BYTES) throw new HttpError("tooLarge");
  if (bytes.byteLength > 0 && isEncoded(request.headers)) throw new HttpError("encodedBody");
  return decode(bytes);
}

/** `identity` names the absence of a coding (RFC 9110, section 8.4.1). */
function isEncoded(headers: PlainHeaders): boolean {
  const codings = (headers.get("content-encoding") ?? "").split(",").map((coding) => coding.trim().toLowerCase());
  return codings.some((coding) => coding !== "" && coding !== "identity");
}

/** The server enforces the announced length. A body that breaks off counts as malformed. */
async function wholeBody(request: PlainRequest): Promise<ArrayBuffer> {
  return request.arrayBuffer().catch((cause: unknown) => {
    throw badJson(cause);
  });
}

/** A chunked body announces no length, so reading stops at the limit. */
async function limitedBody({ body }: PlainRequest): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw badJson(cause);
    });
    if (done) return Buffer.concat(chunks);
    bytes += value.byteLength;
    if (bytes > LIMIT_BYTES) {
      await reader.cancel();
      throw new HttpError("tooLarge");
    }
    chunks.push(value);
  }
}

/** Throws for invalid UTF-8: a lenient decoder would substitute U+FFFD, which would be stored. */
function decode(bytes: ArrayBuffer | Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw badJson(cause, "Request body is not valid UTF-8");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // V8 appends the position to most of these messages, but not to those that quote the text.
    const [, place = ""] = /\((line \d+ column \d+)\)$/.exec(String(cause)) ?? [];
    throw badJson(cause, "", place && ` at ${place}`);
  }
}

/** Without a text, the dialect's own is shown. */
function badJson(cause?: unknown, text = "", place = ""): HttpError {
  return new HttpError("badJson", { fields: [badBody(text || `JSON decode error${place}`)], cause }, text);
}

function noObject(): HttpError {
  return new HttpError("badJson", { fields: [badBody("Request body must be a JSON object")] });
}

function badBody(message: string): FieldProblem {
  return { type: "json_invalid", path: ["body"], message, input: {} };
}

/**
 * Returns JSON without `//` and block comments outside strings, in one pass. An unclosed block comment stays, so that
 * the parser refuses it.
 */
export function withoutComments(text: string): string {
  let kept = "";
  let from = 0;
  let at = 0;
  while (at < text.length) {
    const end = text[at] === "/" ? endOfComment(text, at) : undefined;
    if (end === -1) return text;
    if (end === undefined) {
      at = text[at] === '"' ? endOfString(text, at) : at + 1;
      continue;
    }
    kept += `${text.slice(from, at)} `;
    from = end;
    at = end;
  }
  return kept + text.slice(from);
}

/** Returns the end of the comment that begins here: undefined if none begins, -1 if it is not closed. */
function endOfComment(text: string, start: number): number | undefined {
  if (text.startsWith("//", start)) {
    const newline = text.indexOf("\n", start);
    return newline === -1 ? text.length : newline;
  }
  if (!text.startsWith("/*", start)) return undefined;
  const end = text.indexOf("*/", start + 2);
  return end === -1 ? -1 : end + 2;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
