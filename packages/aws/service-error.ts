/**
 * Refusal by a service of AWS. `name` is its code (`AccessDeniedException`). `$fault` and `$retryable` match the SDK's
 * errors (packages/http/answers/outage.ts).
 */
export class AwsServiceError extends Error {
  readonly status: number;
  readonly $fault: "client" | "server";
  /** Absent if the same call would be refused again. */
  readonly $retryable?: { readonly throttling: boolean };

  constructor(
    call: string,
    { status, code, text }: { readonly status: number; readonly code: string; readonly text: string },
  ) {
    super(`${call}: ${code}${text && `: ${text}`}`);
    this.name = code;
    this.status = status;
    this.$fault = status >= 500 ? "server" : "client";
    const throttling = throttles.test(code) || status === 429;
    if (throttling || expired.test(code) || status >= 500) this.$retryable = { throttling };
  }
}

const throttles = /Throttl|TooManyRequests|SlowDown|RequestLimitExceeded/;
/** Expired credentials of a role. The environment renews them early, and another process may have new ones. */
const expired = /^(?:ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired)$/;

/** Reports whether the same call may succeed shortly. An error without an answer comes from the network. */
export function isWorthRepeating(error: unknown): boolean {
  return !(error instanceof AwsServiceError) || error.$retryable !== undefined;
}

const mostText = 300;

/** Parses an error in JSON (KMS) or XML (S3). `type` is EKS's header with the code (`x-amzn-errortype`). */
export function toServiceError(
  call: string,
  { status, body, type }: { readonly status: number; readonly body: Uint8Array; readonly type: string | null },
): AwsServiceError {
  const source = Buffer.from(body).toString("utf8");
  const fields = source.startsWith("{") ? jsonFields(source) : xmlFields(source);
  // A documentation URL may follow the code (AWS restJson1, "Operation error serialization").
  const named = fields.code || (type ?? "").replace(/:.*$/, "");
  const code = /^[A-Za-z][\w.]{0,99}$/.exec(named)?.[0] ?? `status ${status}`;
  return new AwsServiceError(call, { status, code, text: fields.text.slice(0, mostText) });
}

function jsonFields(source: string): { readonly code: string; readonly text: string } {
  try {
    const { __type = "", message, Message } = JSON.parse(source) as Record<string, unknown>;
    return { code: String(__type).replace(/^.*#/, ""), text: String(message ?? Message ?? "") };
  } catch {
    return { code: "", text: "" };
  }
}

function xmlFields(source: string): { readonly code: string; readonly text: string } {
  const [, code = ""] = /<Code>([^<]*)<\/Code>/.exec(source) ?? [];
  const [, text = ""] = /<Message>([^<]*)<\/Message>/.exec(source) ?? [];
  return { code, text };
}
