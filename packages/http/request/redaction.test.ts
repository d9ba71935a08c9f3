import { expect, test } from "vitest";
import type { FieldProblem } from "#core/problem.ts";
import { showableFields, withoutKeys } from "./redaction.ts";

function shownInput(path: (string | number)[], input: unknown, type = "string_type"): unknown {
  const field: FieldProblem = { type, path, message: "m", input };
  return showableFields([field])[0]?.input;
}

const secrets = [
  ...["aws_secret_access_key", "aws_session_token", "aws_access_key_id", "iam_request_headers", "api_key"],
  ...["githubToken", "codeServerPassword", "sshPublicKey", "gitUserName", "gitUserEmail"],
  ...["anthropicApiKey", "openaiApiKey", "geminiApiKey", "webhookUrl", "webhook_url"],
  ...["public_key", "ssh_public_keys", "registry_auth"],
];

test.each(secrets)("%s is never shown, alone or in a whole body", (name) => {
  expect(shownInput(["body", name], "hunter2")).toBe("***");
  expect(shownInput(["body", name, "inner"], "hunter2")).toBe("***");
  expect(shownInput(["body", "image"], { [name]: "hunter2", deep: [{ [name]: { x: 1 } }] }, "missing")).toEqual({
    [name]: "***",
    deep: [{ [name]: "***" }],
  });
});

test.each([
  "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n",
  "-----BEGIN RSA PRIVATE KEY-----\nhunter2",
  `${" ".repeat(300)}-----BEGIN ENCRYPTED PRIVATE KEY-----hunter2`,
  "PuTTY-User-Key-File-3: ssh-ed25519\nhunter2",
])("a private key is never shown, in any field: %j", (text) => {
  expect(shownInput(["body", "github_username"], text)).toBe("***");
  expect(shownInput(["body", "instance_type"], { name: text, tags: [text] }, "missing")).toEqual({
    name: "***",
    tags: ["***"],
  });
});

test("a presigned URL is hidden in every field", () => {
  const url = "https://sts.amazonaws.com/?Action=GetCallerIdentity&X-Amz-Signature=hunter2";
  expect(shownInput(["body", "iam_request_url"], url)).toBe("***");
  expect(shownInput(["body", "aws_access_key_id"], { iam_request_url: url }, "missing")).toEqual({
    iam_request_url: "***",
  });
});

test("a missing secret shows the object around it", () => {
  expect(shownInput(["body", "api_key"], { image: "x" }, "missing")).toEqual({ image: "x" });
});

test("env_vars are shown with names and without values", () => {
  expect(shownInput(["body", "env_vars", "TOKEN"], "hunter2")).toBe("***");
  expect(shownInput(["body", "env_vars"], { A: "hunter2", B: { c: "hunter2" } })).toEqual({ A: "***", B: "***" });
  expect(shownInput(["body"], { env_vars: { A: 1 } }, "missing")).toEqual({ env_vars: { A: "***" } });
});

test("env_vars that are not a map are hidden completely", () => {
  expect(shownInput(["body", "env_vars"], "A=hunter2")).toBe("***");
  expect(shownInput(["body", "env_vars"], ["A=hunter2"])).toBe("***");
  expect(shownInput(["body"], { env_vars: null }, "missing")).toEqual({ env_vars: "***" });
});

test("a name like __proto__ stays a plain entry", () => {
  const shown = shownInput(["body"], JSON.parse('{"__proto__":{"a":1}}'), "missing");

  expect(JSON.stringify(shown)).toBe('{"__proto__":{"a":1}}');
});

test("the shown part of any input has at most 16 KB", () => {
  const long = "x💥".repeat(100_000);
  const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`${at}${long.slice(0, 300)}`, long]));
  const deep = JSON.parse(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`);
  const field = (path: string[], input: unknown): FieldProblem => ({ type: "string_type", path, message: long, input });
  const hostile = [
    [field(["body", "a"], long)],
    [field(["body", long], many)],
    [field(["body", "a"], deep)],
    Array.from({ length: 5_000 }, (_, at) => field(["body", `${at}`], many)),
    [field(["body", "a"], "\u0000".repeat(50_000))],
  ];

  for (const fields of hostile) {
    const shown = showableFields(fields);
    expect(shown.length).toBeGreaterThan(0);
    expect(Buffer.byteLength(JSON.stringify(shown))).toBeLessThan(16_000);
  }
});

test("few of 60,000 fields of a body are read, and only once, however many are missing", () => {
  let reads = 0;
  const sent = Object.fromEntries(Array.from({ length: 60_000 }, (_, at) => [`f${at}`, at]));
  const input = new Proxy(sent, {
    get(target, name) {
      reads += 1;
      return Reflect.get(target, name);
    },
  });
  const fields = ["a", "b", "c", "d"].map((name) => ({ type: "missing", path: ["body", name], message: "m", input }));

  const shown = showableFields(fields);

  expect(shown.map((field) => Object.keys(field.input as object).length)).toEqual([40, 40, 40, 40]);
  expect(reads).toBe(40);
});

test("small inputs are shown unchanged", () => {
  const input = { a: [1, "two", null, true], b: { c: 0.5 } };

  expect(shownInput(["body"], input, "missing")).toEqual(input);
});

test.each([
  ["GET /k/abc/v1/jobs", "GET /k/***/v1/jobs"],
  ["/shell?api_key=abc&x=1", "/shell?api_key=***&x=1"],
  ["Authorization: Bearer abc", "Authorization: Bearer ***"],
  ['{"x-api-key":"abc"}', '{"x-api-key":"***"}'],
  ["/%6B/abc/v1 and %2Fk%2Fabc/x", "/%6B/***/v1 and %2Fk%2F***/x"],
  ["/K/abc/v1, //k/abc/v1 and /%4b/abc/v1", "/K/***/v1, //k/***/v1 and /%4b/***/v1"],
  ['{"url":"/k/abc","q":"api%5Fkey%3Dabc"}', '{"url":"/k/***","q":"api%5Fkey%3D***"}'],
  ["nothing here", "nothing here"],
])("%s", (text, clean) => {
  expect(withoutKeys(text)).toBe(clean);
});
