import * as z from "zod";
import type { LoginProof } from "#core/users/login.ts";
import { fewEntries } from "#http/request/few-entries.ts";

const MOST_HEADERS = 100;
const tooManyHeaders = `At most ${MOST_HEADERS} headers are allowed`;

const blankAsAbsent = (value: unknown) => (value === "" || value === null ? undefined : value);

/** A presigned URL has no headers and is too long. The message names the cause instead. */
const SignedUrl = z
  .string()
  .refine((text) => !isPresigned(text), { error: "The signature must be in the headers", abort: true })
  .max(2048);

/** Characters for values that are forwarded in headers. */
const inHeader = /^[!-~]*$/;
const inHeaderWords = "Must be printable ASCII without spaces";

const Fields = z.object({
  aws_access_key_id: z
    .string()
    .min(16)
    .max(128)
    .regex(inHeader, inHeaderWords)
    .nullish()
    .describe("The access key id of your AWS credentials. Send credentials, or a signed request (`iam_request_…`)."),
  aws_secret_access_key: z
    .string()
    .min(40)
    .max(128)
    .nullish()
    .describe("The secret access key. Berth keeps it in memory until STS has answered, and stores it nowhere."),
  aws_session_token: z
    .preprocess(blankAsAbsent, z.string().min(100).max(2048).regex(inHeader, inHeaderWords).optional())
    .describe("The session token of temporary credentials. An empty text counts as none."),
  iam_request_url: SignedUrl.nullish().describe(
    "The URL of a GetCallerIdentity request that you signed yourself. With this form your secret stays with you.",
  ),
  iam_request_headers: fewEntries(MOST_HEADERS, tooManyHeaders, z.record(z.string(), z.string()))
    .nullish()
    .describe(
      "All headers of the signed request. The signature must cover `host`, `x-amz-date` and `x-berth-server-id`.",
    ),
  iam_request_body: z
    .string()
    .max(256)
    .nullish()
    .describe(
      "The body of the signed POST request; `Action=GetCallerIdentity&Version=2011-06-15` is assumed without it.",
    ),
  iam_request_method: z
    .enum(["POST", "GET"])
    .nullish()
    .describe("The method of the signed request; `POST` is assumed without it."),
});

/** A presigned URL does not sign a header that names this deployment. */
function isPresigned(url: string): boolean {
  return URL.canParse(url) && new URL(url).searchParams.has("X-Amz-Signature");
}

export const LoginBody = Fields.superRefine(refineForm, {
  when: ({ value }) => typeof value === "object" && value !== null,
}).meta({ id: "LoginRequest" });

export type LoginBody = z.output<typeof Fields>;

/** Requires one complete form. It also runs if other fields are bad, so that the client sees all faults at once. */
function refineForm(body: LoginBody, ctx: z.RefinementCtx): void {
  if (hasCredentials(body) && hasRequest(body)) {
    const message = "Send AWS credentials or a signed request, not both";
    ctx.addIssue({ code: "custom", path: [], message });
    return;
  }
  const wanted = hasRequest(body) ? requestFields : credentialFields;
  for (const name of wanted) {
    if (body[name] !== undefined && body[name] !== null) continue;
    ctx.addIssue({ code: "custom", params: { type: "missing" }, path: [name], message: "Field required" });
  }
}

const credentialFields = ["aws_access_key_id", "aws_secret_access_key"] as const;
const requestFields = ["iam_request_url", "iam_request_headers"] as const;

export function hasRequest(body: LoginBody): boolean {
  const { iam_request_url, iam_request_headers, iam_request_body, iam_request_method } = body;
  return [iam_request_url, iam_request_headers, iam_request_body, iam_request_method].some((field) => field != null);
}

function hasCredentials(body: LoginBody): boolean {
  return [body.aws_access_key_id, body.aws_secret_access_key, body.aws_session_token].some((field) => field != null);
}

/** The schema guarantees both values. */
export function parseCredentials(body: LoginBody): LoginProof {
  const accessKeyId = body.aws_access_key_id ?? "";
  const secretAccessKey = body.aws_secret_access_key ?? "";
  return { kind: "credentials", credentials: { accessKeyId, secretAccessKey, sessionToken: body.aws_session_token } };
}
