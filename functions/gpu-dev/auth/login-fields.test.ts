import { expect, test } from "vitest";
import { developer, httpWorld, loginBody } from "#tests/worlds/http-world.ts";

const world = await httpWorld();
const good = loginBody(developer);

type Refused = readonly [type: string, field: string, msg: string, input: unknown];

const missing = (field: string, input: unknown): Refused => ["missing", field, "Field required", input];
const short = (field: string, n: number): Refused => [
  "string_too_short",
  field,
  `String should have at least ${n} characters`,
  "***",
];
const long = (field: string, n: number): Refused => [
  "string_too_long",
  field,
  `String should have at most ${n} characters`,
  "***",
];
const unsendable = (field: string): Refused => [
  "string_pattern_mismatch",
  field,
  "Must be printable ASCII without spaces",
  "***",
];
const id = "aws_access_key_id";
const secret = "aws_secret_access_key";
const token = "aws_session_token";

const rows: readonly (readonly [why: string, body: unknown, answer: readonly Refused[]])[] = [
  ["neither form", {}, [missing(id, {}), missing(secret, {})]],
  ["unknown fields", { user: "x" }, [missing(id, { user: "***" }), missing(secret, { user: "***" })]],
  [
    "a misspelt secret",
    { aws_secret_acces_key: "s3cret" },
    [
      ...[id, secret].map((field) => missing(field, { aws_secret_acces_key: "***" })),
      [
        "value_error",
        "aws_secret_acces_key",
        "There is no field of this name. Did you mean aws_secret_access_key?",
        "***",
      ],
    ],
  ],
  ["no secret", { [id]: "A".repeat(16) }, [missing(secret, { [id]: "***" })]],
  [
    "only a token",
    { [token]: "t".repeat(100) },
    [missing(id, { [token]: "***" }), missing(secret, { [token]: "***" })],
  ],
  ["a short id", { ...good, [id]: "A".repeat(15) }, [short(id, 16)]],
  ["a long id", { ...good, [id]: "A".repeat(129) }, [long(id, 128)]],
  ["a short secret", { ...good, [secret]: "s".repeat(39) }, [short(secret, 40)]],
  ["a long secret", { ...good, [secret]: "s".repeat(129) }, [long(secret, 128)]],
  ["a short token", { ...good, [token]: "t".repeat(99) }, [short(token, 100)]],
  ["a long token", { ...good, [token]: "t".repeat(2049) }, [long(token, 2048)]],
  ["an id in two lines", { ...good, [id]: `AKIA${"A".repeat(12)}\nX-Evil: 1` }, [unsendable(id)]],
  ["an id beyond ASCII", { ...good, [id]: "\u00c4".repeat(16) }, [unsendable(id)]],
  ["an id with a space", { ...good, [id]: `${"A".repeat(15)} ` }, [unsendable(id)]],
  ["a token in two lines", { ...good, [token]: `${"t".repeat(100)}\r\nX-Evil: 1` }, [unsendable(token)]],
  ["a token beyond ASCII", { ...good, [token]: "\u2028".repeat(100) }, [unsendable(token)]],
  [
    "all of it wrong, in the order of the table",
    { [token]: 1, [secret]: "s", [id]: [] },
    [
      ["string_type", id, "Input should be a valid string", "***"],
      short(secret, 40),
      ["string_type", token, "Input should be a valid string", "***"],
    ],
  ],
  [
    "a number for an id, and no secret",
    { [id]: 5 },
    [["string_type", id, "Input should be a valid string", "***"], missing(secret, { [id]: "***" })],
  ],
  [
    "a URL without headers",
    { iam_request_url: "https://sts.amazonaws.com/" },
    [missing("iam_request_headers", { iam_request_url: "https://sts.amazonaws.com/" })],
  ],
  [
    "headers without a URL",
    { iam_request_headers: { authorization: "hunter2" } },
    [missing("iam_request_url", { iam_request_headers: "***" })],
  ],
  [
    "another method",
    { iam_request_url: "x", iam_request_headers: {}, iam_request_method: "PUT" },
    [["enum", "iam_request_method", "Input should be one of: POST, GET", "PUT"]],
  ],
];

test.each(rows)("400 for %s", async (_, body, answer) => {
  const response = await world.request("POST", "/v1/auth/aws-login", { body });

  const detail = answer.map(([type, field, msg, input]) => ({ type, loc: ["body", field], msg, input }));
  expect([response.status, await response.json()]).toEqual([400, { detail }]);
});

test("400 for both forms at once, without a secret in the answer", async () => {
  const body = { ...good, iam_request_url: "https://sts.amazonaws.com/", iam_request_headers: { a: "hunter2" } };

  const response = await world.request("POST", "/v1/auth/aws-login", { body });

  const msg = "Send AWS credentials or a signed request, not both";
  const input = {
    [id]: "***",
    [secret]: "***",
    [token]: "***",
    iam_request_url: "https://sts.amazonaws.com/",
    iam_request_headers: "***",
  };
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({ detail: [{ type: "value_error", loc: ["body"], msg, input }] });
});
