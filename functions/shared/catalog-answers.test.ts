import { beforeAll, describe, expect, test } from "vitest";
import type { HttpProblemKind } from "#http/dialect.ts";
import { bodySchema, type Endpoint } from "#http/endpoint.ts";
import { listMethods } from "#http/routes.ts";
import { fieldNames, fieldSchema, isRequired } from "#http/schema.ts";
import { catalogCases, catalogRows, expectWellFormed, huge, sendTo } from "#tests/fixtures/catalog-cases.ts";
import { catalogWorld, type GoodRequest, goodRequest } from "#tests/fixtures/catalog-requests.ts";
import { problemText, situationText } from "#tests/fixtures/problem-text.ts";
import { testSettings } from "#tests/fixtures/settings.ts";

const world = await catalogWorld();
const key = await world.login();
const send = sendTo(world);
await catalogCases(world);

const table = catalogRows(world);
/** A body means nothing to a DELETE that asks for none. */
const isBodyless = ({ method, body }: Endpoint) => method === "get" || (method === "delete" && body === undefined);
const withBody = table.filter(({ endpoint }) => !isBodyless(endpoint));
const bodylessDeletes = table.filter(({ endpoint }) => endpoint.method === "delete" && isBodyless(endpoint));

/** Routes that answer the same request otherwise when it is made again, and why. */
const answersAnew: Readonly<Record<string, string>> = {
  "/v1/web/codes": "each code is another one",
  "/v1/keys/rotate": "each time the key is another one",
  "/v1/jobs/{job_id}/terminal": "each ticket is another one",
  "/v1/disks/{disk_name}/undelete": "what was undeleted is not marked for deletion any more",
  "/v1/disks/{disk_name}/snapshots": "a disk has one request for a snapshot at a time",
  "/v1/jobs/{job_id}/jupyter/enable": "each request has a number of its own, also where all is so already",
  "/v1/jobs/{job_id}/jupyter/disable": "each request has a number of its own, also where all is so already",
};
const repeatable = withBody.filter(({ endpoint }) => !(endpoint.path in answersAnew));
const changing = withBody
  .filter(({ endpoint }) => endpoint.path in answersAnew)
  .map((row) => ({ ...row, reason: answersAnew[row.endpoint.path] }));
const emptyBodies = ["", " \n", undefined];

/** The machinery's own words for a situation, in the envelope of the path's dialect. */
async function expectRefusal(
  response: Response,
  { method, path }: Pick<GoodRequest, "method" | "path">,
  why: HttpProblemKind,
  fieldText?: string,
) {
  const text = await response.clone().text();
  expect([response.status, problemText(path, text)]).toEqual([
    statusByKey[why],
    situationText(method, path, why, fieldText),
  ]);
  await expectWellFormed(response);
}

const statusByKey: Readonly<Partial<Record<HttpProblemKind, number>>> = {
  unknownPath: 404,
  wrongMethod: 405,
  tooLarge: 413,
  encodedBody: 415,
  badJson: 400,
};

/** The fields of the endpoint's body that may be absent. */
function optionalFields(endpoint: Endpoint): string[] {
  const schema = bodySchema(endpoint, testSettings());
  if (schema === undefined) return [];
  return fieldNames(schema).filter((name) => !isRequired(fieldSchema(schema, name) ?? schema));
}

/** The body of a request as an object. */
async function sentObject({ sent: { body } }: GoodRequest): Promise<Record<string, unknown>> {
  return typeof body === "string" ? JSON.parse(body) : { ...(body as object) };
}

/**
 * Returns a request to the endpoint that all of its tests share. They are refused, so its resources stay as they are.
 */
function requestTo(endpoint: Endpoint): () => GoodRequest {
  let made: GoodRequest;
  beforeAll(async () => {
    made = await goodRequest(world, endpoint, key);
  });
  return () => made;
}

describe.each(table)("$name", ({ endpoint }) => {
  const request = requestTo(endpoint);

  test("answers an unsupported method with 405 and the supported ones", async () => {
    const { path } = request();
    // A static path may also be taken for the id of something.
    const ownNames = listMethods(world.endpoints, path);

    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].filter(
      (name) => !ownNames.includes(name),
    )) {
      const response = await send({ method, path, sent: {} });

      expect(response.headers.get("allow")?.split(", ")).toEqual(ownNames);
      await expectRefusal(response, { method, path }, "wrongMethod");
    }
  });

  test("is not found with a trailing slash", async () => {
    const { method, path, sent } = request();

    const at = `${path}${path === "/" ? "x" : "/"}`;

    await expectRefusal(await send({ method, path: at, sent }), { method, path: at }, "unknownPath");
  });

  test("creates a request id if the request has none, but no correlation id", async () => {
    const { method, path, sent } = request();

    const { headers } = await world.request(method, path, sent);

    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(headers.has("x-correlation-id")).toBe(false);
  });
});

describe.each(withBody)("$name", ({ endpoint }) => {
  const request = requestTo(endpoint);

  test("refuses a body over 1 MiB, announced or not", async () => {
    for (const headers of [{ "Content-Length": String(huge.length) }, {}]) {
      await expectRefusal(await send(request(), { body: huge, headers }), request(), "tooLarge");
    }
  });

  test("refuses a compressed body with the accepted encoding", async () => {
    for (const coding of ["gzip", "br", "deflate"]) {
      const response = await send(request(), { body: "{}", headers: { "Content-Encoding": coding } });

      expect(response.headers.get("accept-encoding")).toBe("identity");
      await expectRefusal(response, request(), "encodedBody");
    }
  });

  test("treats null like an absent optional field", async () => {
    const fresh = await goodRequest(world, endpoint, key);
    const body = await sentObject(fresh);
    const absent = optionalFields(endpoint).filter((name) => !(name in body));
    const nulls = Object.fromEntries(absent.map((name) => [name, null]));

    const response = await send({ ...fresh, sent: { ...fresh.sent, body: { ...nulls, ...body } } });

    expect([response.status, await response.text()]).toEqual([endpoint.status, expect.any(String)]);
  });

  test("refuses a JSON body that is not an object", async () => {
    for (const body of ["[]", '"text"', "1", "null", "true"]) {
      const response = await send(request(), { body });

      await expectRefusal(response, request(), "badJson", "Request body must be a JSON object");
    }
  });

  test("refuses a body that is not JSON", async () => {
    const places: Readonly<Record<string, string>> = {
      "{": " at line 1 column 2",
      '{"a":1,}': " at line 1 column 8",
      "{'a':1}": " at line 1 column 2",
      '{"a":1} x': " at line 1 column 9",
      "\0": "",
      ...(!endpoint.dialect.commentsInJson && { "// a\n{}": "" }),
    };
    for (const [body, place] of Object.entries(places)) {
      await expectRefusal(await send(request(), { body }), request(), "badJson", `JSON decode error${place}`);
    }
  });

  test("parses JSON under any content type", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", ";;;", "application/xml"]) {
      const fresh = await goodRequest(world, endpoint, key);
      const { status } = await send(fresh, { headers: { "Content-Type": type } });

      expect(status).toBe(endpoint.status);
    }
  });
});

describe.each(repeatable)("$name", ({ endpoint }) => {
  test("treats an empty body like {}", async () => {
    const request = await goodRequest(world, endpoint, key);
    const answerTo = async (body: string | undefined) => {
      const headers = { "Content-Type": "application/json" };
      const response = await send({ ...request, sent: { ...request.sent, body } }, { headers });
      return [response.status, await response.text()];
    };

    const answers = [await answerTo(emptyBodies[0]), await answerTo("{}")];
    for (const body of emptyBodies.slice(1)) answers.push(await answerTo(body));

    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });
});

test("the list of endpoints whose answers differ is complete", () => {
  expect(changing.map(({ endpoint }) => endpoint.path).toSorted()).toEqual(Object.keys(answersAnew).toSorted());
});

describe.each(changing)("$name ($reason)", ({ endpoint }) => {
  test.each(emptyBodies)("treats the empty body %j like {}, compared by the fields of two answers", async (body) => {
    const headers = { "Content-Type": "application/json" };
    const [first, second] = [await goodRequest(world, endpoint, key), await goodRequest(world, endpoint, key)];

    const empty = await send({ ...first, sent: { ...first.sent, body } }, { headers });
    const braces = await send({ ...second, sent: { ...second.sent, body: "{}" } }, { headers });

    expect([empty.status, braces.status]).toEqual([endpoint.status, endpoint.status]);
    expect(Object.keys((await empty.json()) as object)).toEqual(Object.keys((await braces.json()) as object));
  });
});

describe.each(bodylessDeletes)("$name", ({ endpoint }) => {
  test.each(["", "{}", "{", "[]", "\0", huge])("ignores a body: %#", async (body) => {
    const response = await send(await goodRequest(world, endpoint, key), { body });

    expect(response.status).toBe(endpoint.status);
    await expectWellFormed(response);
  });

  test("refuses a body over 1 MiB that is announced", async () => {
    const headers = { "Content-Length": String(huge.length) };
    const request = await goodRequest(world, endpoint, key);

    await expectRefusal(await send(request, { body: huge, headers }), request, "tooLarge");
  });
});
