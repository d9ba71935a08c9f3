import type { Context } from "#core/context.ts";
import { Problem } from "#core/problem.ts";
import type { LoginProof } from "#core/users/login.ts";
import type { LoginBody } from "./credentials.ts";

const ACTION = "Action=GetCallerIdentity&Version=2011-06-15";
const SERVER_ID = "x-berth-server-id";
const MINUTES_MS = 5 * 60_000;

/**
 * Validates a request that the client signed itself, so that no secret leaves it. It must be a fresh
 * GetCallerIdentity at a known STS, meant for this deployment (docs/apis/gpu-dev.md#log-in).
 */
export function parseSignedRequest(ctx: Context, body: LoginBody): LoginProof {
  const headers = lowerCased(body.iam_request_headers ?? {});
  const method = body.iam_request_method ?? "POST";
  const url = checkedUrl(ctx, body.iam_request_url ?? "", method);
  const content = method === "POST" ? (body.iam_request_body ?? ACTION) : undefined;
  if (method === "POST" && content !== ACTION) throw badField("iam_request_body", `Input should be '${ACTION}'`);
  if (method === "GET" && body.iam_request_body) throw badField("iam_request_body", "A GET request has no body");
  checkForm(headers);
  checkSignature(ctx, headers);
  return { kind: "request", request: { url, method, headers, body: content } };
}

function checkedUrl(ctx: Context, text: string, method: "GET" | "POST"): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !ctx.settings.stsOrigins.includes(url.origin)) {
    throw badField("iam_request_url", "Input should be the URL of a known STS endpoint");
  }
  const plain = url.pathname === "/" && url.username === "" && url.password === "" && !text.includes("#");
  if (!plain) throw badField("iam_request_url", "URL must have the path / and neither user nor fragment");
  const query = url.search.slice(1);
  if (query !== (method === "GET" ? ACTION : ""))
    throw badField("iam_request_url", "URL must ask for GetCallerIdentity");
  return url.href;
}

/** Refuses headers that cannot be sent (RFC 9110, 5.1 and 5.5): this is the caller's mistake, not a fault of STS. */
function checkForm(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) && /^[\t -~]*$/.test(value)) continue;
    throw badField("iam_request_headers", "Headers must be printable ASCII, without line breaks");
  }
}

function checkSignature(ctx: Context, headers: Readonly<Record<string, string>>): void {
  const signed = signedHeaders(headers.authorization ?? "");
  const covers = ["host", "x-amz-date", SERVER_ID].every((name) => signed?.includes(name));
  if (!covers || headers[SERVER_ID] !== ctx.settings.loginServerId) {
    throw new Problem("unauthenticated", "AWS signature verification failed");
  }
  const at = amzDate(headers["x-amz-date"] ?? "");
  if (at === undefined || Math.abs(ctx.clock.now() - at) > MINUTES_MS) {
    throw new Problem("unauthenticated", "AWS authentication failed: RequestExpired");
  }
}

/**
 * Returns undefined unless the header has each of its three fields exactly once: with two `SignedHeaders`, STS might
 * check a different one than this code.
 */
function signedHeaders(authorization: string): readonly string[] | undefined {
  const fields = /^AWS4-HMAC-SHA256 +(.+)$/.exec(authorization)?.[1]?.split(",") ?? [];
  const named = new Map(
    fields.map((field) => {
      const [, name = "", value = ""] = /^ *([A-Za-z]+)=(\S+) *$/.exec(field) ?? [];
      return [name, value];
    }),
  );
  const isWhole = fields.length === 3 && ["Credential", "SignedHeaders", "Signature"].every((name) => named.has(name));
  return isWhole ? named.get("SignedHeaders")?.split(";") : undefined;
}

function amzDate(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(at) ? undefined : at;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function badField(name: string, message: string): Problem {
  const field = { type: "value_error", path: ["body", name], message, input: null };
  return new Problem("invalid", message, { fields: [field] });
}
