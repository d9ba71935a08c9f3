/**
 * A service of AWS said no. `name` is its own code (`AccessDeniedException`), the message says which call it was and why.
 * `$fault` and `$retryable` are what the SDK's errors have, so that both are judged alike (packages/http/answers/outage.ts).
 */
export class AwsServiceError extends Error {
  readonly status: number;
  readonly $fault: "client" | "server";
  /** Absent where the same call will be refused again. */
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
/** Of a role: whoever runs this gets others before these end, and another process may have them already. */
const expired = /^(?:ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired)$/;

/** Whether the same call may succeed a moment later. An error without an answer is one of the network. */
export function isWorthRepeating(error: unknown): boolean {
  return !(error instanceof AwsServiceError) || error.$retryable !== undefined;
}

const mostText = 300;

/**
 * The error in the body of an answer, in JSON (KMS) or XML (S3): code and message alone, whatever else is in it. `type` is
 * the header in which EKS names the code (`x-amzn-errortype`).
 */
export function toServiceError(
  call: string,
  { status, body, type }: { readonly status: number; readonly body: Uint8Array; readonly type: string | null },
): AwsServiceError {
  const source = Buffer.from(body).toString("utf8");
  const fields = source.startsWith("{") ? jsonFields(source) : xmlFields(source);
  // Behind the code may follow where it is documented (AWS restJson1, "Operation error serialization").
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
