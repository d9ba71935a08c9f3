import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import { errorCodes } from "#core/problem.ts";
import { ERROR_HEADER } from "#http/answers/http-error.ts";
import type { Catalog } from "#http/catalog.ts";
import type { Endpoint } from "#http/endpoint.ts";
import { version } from "#http/version.ts";
import { problemName, problemSchemas } from "./openapi-problems.ts";
import { publishedRoute } from "./openapi-route.ts";
import { schemaBook } from "./openapi-schemas.ts";
import { type Tag, tags } from "./openapi-tags.ts";

/** Returns openapi.json: the routes of all endpoints that are not hidden, in the reading order of their tags. */
export function openApiDocument({ endpoints }: Pick<Catalog, "endpoints">): object {
  const calls = endpoints.flatMap(({ declaration }) => getCall(declaration)).sort(byPlace);
  const app = new OpenAPIHono();
  const book = schemaBook();
  for (const { endpoint, route } of calls) {
    app.openAPIRegistry.registerPath(publishedRoute(endpoint, route, book) as RouteConfig);
  }
  const dialects = [...new Set(calls.map(({ endpoint }) => endpoint.dialect.name))].sort();
  const problems = dialects.flatMap((dialect) => Object.entries(problemSchemas[dialect](problemName(dialect))));
  const used = new Set(calls.map(({ route }) => route.tags?.[0]));
  const { openapi, servers, paths } = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info,
    servers: [{ url: "/", description: "Where this document comes from" }],
  });
  return {
    openapi,
    info,
    servers,
    tags: Object.entries(tags).flatMap(([name, { description }]) => (used.has(name) ? [{ name, description }] : [])),
    paths,
    components: {
      headers: { [ERROR_HEADER]: errorHeader },
      schemas: { ...book.components(), ...Object.fromEntries(problems) },
      securitySchemes,
    },
  };
}

const introduction = `**How to get a key.** On a local stack, in a second shell of its folder:

\`\`\`sh
npm run --silent env
\`\`\`

It prints \`API_KEY\`; \`-- --fresh\` makes a new one. On a deployment, exchange your AWS identity for a key with \`POST
/v1/auth/aws-login\` below. The key is valid for some hours.

Then press **Authorize** and paste the key into *one* of the two fields: it works in \`Authorization: Bearer <key>\` and in
\`X-API-Key: <key>\`, on every path. A client without a place for either puts it into the base URL: \`/k/<key>\`.

**A first job.** Under Jobs below, submit the proposed job, show it by its \`job_id\` until its status is \`active\`, and
cancel it.

Berth serves five published APIs over the same machines, disks and keys. Times are RFC 3339 in UTC. Every problem has the
shape of its API and a \`Berth-Error\` header with its kind, and every answer has an \`X-Request-ID\`. Answers may contain
fields that you do not know.
`;

/** A variable, because zod-to-openapi's type is that of OpenAPI 3.0, which lacks summary and identifier. */
const info = {
  title: "Berth",
  version,
  summary: "GPU and CPU development environments on AWS.",
  description: introduction,
  license: { name: "Apache-2.0", identifier: "Apache-2.0" },
};

/** docs/apis/common.md#error-codes. */
const errorHeader = {
  description: "What kind of problem it is: one word, the same in every API. New words may come.",
  schema: { type: "string", examples: errorCodes },
};

const securitySchemes = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "An API key, as `Authorization: Bearer <key>`. This field alone is enough.",
  },
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "The same key in a separate header." },
};

interface Call {
  readonly endpoint: Endpoint;
  readonly route: RouteConfig;
  readonly place: readonly (number | string)[];
}

/** Returns nothing for a page, whose route is hidden. */
function getCall(endpoint: Endpoint): Call[] {
  const { route } = endpoint;
  return route.hide ? [] : [{ endpoint, route, place: getPlace(route) }];
}

function byPlace({ place: a }: Call, { place: b }: Call): number {
  const at = a.findIndex((part, index) => part !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) < (b[at] ?? 0) ? -1 : 1;
}

/** Sorts operations that their tag does not list after those that it lists. */
function getPlace({ tags: [name = ""] = [], operationId = "", path, method }: RouteConfig): (number | string)[] {
  const tag = tags[name as Tag] as (typeof tags)[Tag] | undefined;
  if (!tag) throw new Error(`"${name}" of ${method} ${path} is not a tag in scripts/openapi/openapi-tags.ts`);
  const listed: readonly string[] = tag.operations;
  const at = listed.indexOf(operationId);
  return [Object.keys(tags).indexOf(name), at === -1 ? listed.length : at, path, method];
}
