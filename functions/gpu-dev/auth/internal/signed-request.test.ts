import { expect, test } from "vitest";
import type { SignedIdentityRequest } from "#core/ports/identity.ts";
import { signedBy } from "#tests/fakes/memory-identity.ts";
import { callerNamed, developer, httpWorld } from "#tests/worlds/http-world.ts";

const action = "Action=GetCallerIdentity&Version=2011-06-15";
const url = "https://sts.amazonaws.com/";
const local = "http://127.0.0.1:4566/";
const world = await httpWorld({ settings: { stsOrigins: ["https://sts.amazonaws.com", "http://127.0.0.1:4566"] } });
const signed = signedBy(developer, { url, amzDate: "20260120T180000Z", serverId: "berth-local" });

function getBody(request: SignedIdentityRequest): Record<string, unknown> {
  return {
    iam_request_url: request.url,
    iam_request_headers: request.headers,
    iam_request_body: request.body,
    iam_request_method: request.method,
  };
}

async function answerTo(body: unknown): Promise<[number, Record<string, unknown>]> {
  const response = await world.request("POST", "/v1/auth/aws-login", { body });
  return [response.status, (await response.json()) as Record<string, unknown>];
}

const good = getBody(signed);
const { iam_request_body: _body, iam_request_method: _method, ...plain } = good;
const { iam_request_body: _, ...bodiless } = good;

test.each([
  ["a POST", good],
  ["a POST whose body and method are left to their defaults", plain],
  [
    "a GET with the action in its query",
    { ...bodiless, iam_request_url: `${url}?${action}`, iam_request_method: "GET" },
  ],
  ["header names in capitals", { ...good, iam_request_headers: inCapitals(signed.headers) }],
  ["the local STS, with its port", { ...good, iam_request_url: local }],
  ["fields of the other form that are null", { ...good, aws_access_key_id: null, aws_session_token: "" }],
])("a signed request logs in: %s", async (_, body) => {
  const [status, answered] = await answerTo(body);

  expect(status).toBe(200);
  expect(answered).toMatchObject({ username: "developer", user_id: 1, ttl_hours: 2 });
});

function inCapitals(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]));
}

const urlFields = [
  ["another host", "https://sts.amazonaws.com.evil.example/"],
  ["another scheme", "http://sts.amazonaws.com/"],
  ["another port", "https://sts.amazonaws.com:8443/"],
  ["a region that is not listed", "https://sts.mars-1.amazonaws.com/"],
  ["a path", "https://sts.amazonaws.com/x"],
  ["a user", "https://user@sts.amazonaws.com/"],
  ["a password", "https://:pass@sts.amazonaws.com/"],
  ["a fragment", "https://sts.amazonaws.com/#x"],
  ["an empty fragment", "https://sts.amazonaws.com/#"],
  ["a query beside the body", `https://sts.amazonaws.com/?${action}`],
  ["no URL at all", "sts.amazonaws.com"],
  ["nothing", ""],
] as const;

test("a presigned request is refused with an accurate message", async () => {
  const signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
  for (const method of ["GET", "POST"]) {
    const body = { ...bodiless, iam_request_url: `${url}?${action}&${signed}`, iam_request_method: method };

    const [status, { detail }] = await answerTo(body);

    expect([status, detail]).toMatchObject([400, [{ msg: "The signature must be in the headers" }]]);
  }
});

test("a presigned URL is reported as such, even without headers, too long, or for another host", async () => {
  const token = `X-Amz-Security-Token=${"t".repeat(3000)}&X-Amz-Signature=00`;
  const presigned = [`${url}?${action}&${token}`, `https://elsewhere.example/?${token}`];
  for (const iam_request_url of presigned) {
    const [status, { detail }] = await answerTo({ iam_request_url });

    expect(status).toBe(400);
    expect(detail).toEqual([
      {
        type: "value_error",
        loc: ["body", "iam_request_url"],
        msg: "The signature must be in the headers",
        input: "***",
      },
    ]);
  }
});

test.each(urlFields)("400 for %s in the URL", async (_, iam_request_url) => {
  const [status, { detail }] = await answerTo({ ...good, iam_request_url });

  expect(status).toBe(400);
  expect(detail).toMatchObject([{ type: "value_error", loc: ["body", "iam_request_url"] }]);
});

test.each([
  ["another body", { ...good, iam_request_body: "Action=AssumeRole" }, "iam_request_body"],
  ["an additional parameter", { ...good, iam_request_body: `${action}&x=1` }, "iam_request_body"],
  ["a GET without the action", { ...bodiless, iam_request_method: "GET" }, "iam_request_url"],
  [
    "a GET with another action",
    { ...bodiless, iam_request_url: `${url}?Action=AssumeRole`, iam_request_method: "GET" },
    "iam_request_url",
  ],
  [
    "a GET with a body",
    { ...good, iam_request_url: `${url}?${action}`, iam_request_method: "GET" },
    "iam_request_body",
  ],
])("400 for %s", async (_, body, field) => {
  const [status, { detail }] = await answerTo(body);

  expect(status).toBe(400);
  expect(detail).toMatchObject([{ type: "value_error", loc: ["body", field] }]);
});

const failed = "AWS signature verification failed";
const expired = "AWS authentication failed: RequestExpired";
const withHeaders = (changed: Readonly<Record<string, string>>) => ({
  ...good,
  iam_request_headers: { ...signed.headers, ...changed },
});
const { "x-berth-server-id": __, ...withoutServerId } = signed.headers;
const unsigned = (name: string) => signed.headers.authorization?.replace(`;${name}`, "").replace(`${name};`, "") ?? "";

/** A signature without the server id. A second list of signed headers pretends to include it. */
const elsewhere = unsigned("x-berth-server-id");
const allSigned = "SignedHeaders=host;x-amz-date;x-berth-server-id";
const listing = (more: string) => elsewhere.replace(/,? *Signature=/, `, ${more}$&`);

test.each([
  ["no signature", withHeaders({ authorization: "" }), failed],
  ["another kind of signature", withHeaders({ authorization: "Bearer x" }), failed],
  ["host not signed", withHeaders({ authorization: unsigned("host") }), failed],
  ["date not signed", withHeaders({ authorization: unsigned("x-amz-date") }), failed],
  ["server id not signed", withHeaders({ authorization: unsigned("x-berth-server-id") }), failed],
  ["a second list of signed headers", withHeaders({ authorization: listing(allSigned) }), failed],
  ["a list of signed headers of another name", withHeaders({ authorization: listing(`x-${allSigned}`) }), failed],
  ["a list after a field of no name", withHeaders({ authorization: listing(`=, ${allSigned}`) }), failed],
  ["the id of another server", withHeaders({ "x-berth-server-id": "berth-elsewhere" }), failed],
  ["no server id", { ...good, iam_request_headers: withoutServerId }, failed],
  ["a date 5 min and 1 s old", withHeaders({ "x-amz-date": "20260120T175459Z" }), expired],
  ["a date 5 min and 1 s ahead", withHeaders({ "x-amz-date": "20260120T180501Z" }), expired],
  ["an invalid date", withHeaders({ "x-amz-date": "20261320T180000Z" }), expired],
  ["a date in another form", withHeaders({ "x-amz-date": "2026-01-20T18:00:00Z" }), expired],
  ["a signature by another secret", getBody(signedWith({ secretAccessKey: "w".repeat(40) })), failed],
  ["an unknown caller", getBody(signedWith(callerNamed("unknown"))), "Invalid AWS credentials"],
])("401 for %s", async (_, body, detail) => {
  const answer = await answerTo(body);

  expect(answer).toEqual([401, { detail }]);
});

function signedWith(changed: Partial<typeof developer>): SignedIdentityRequest {
  return signedBy({ ...developer, ...changed }, { url, amzDate: "20260120T180000Z", serverId: "berth-local" });
}

test.each(["20260120T175500Z", "20260120T180500Z"])("a date 5 min away is still valid: %s", async (amzDate) => {
  const [status] = await answerTo(getBody(signedBy(developer, { url, amzDate, serverId: "berth-local" })));

  expect(status).toBe(200);
});

test.each([
  ["a line break in a value", { "x-amz-security-token": "a\r\nX-Evil: 1" }],
  ["a value beyond ASCII", { "content-type": "\u2028" }],
  ["a NUL in a value", { accept: "a\u007f" }],
  ["an invalid name", { "x-amz-\r\nevil": "1" }],
  ["an empty name", { "": "1" }],
  ["a line break in a header that is not forwarded", { "x-other": "a\nb" }],
])("400 for headers with %s, before any call of STS", async (_, more) => {
  const [status, { detail }] = await answerTo({ ...good, iam_request_headers: { ...signed.headers, ...more } });

  const msg = "Headers must be printable ASCII, without line breaks";
  expect([status, detail]).toMatchObject([400, [{ loc: ["body", "iam_request_headers"], msg }]]);
  expect(JSON.stringify(detail)).not.toContain("Evil");
});
