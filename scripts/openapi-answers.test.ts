import { expect, test } from "vitest";
import { loadCatalog } from "#http/catalog.ts";
import type { Endpoint } from "#http/endpoint.ts";
import { catalogWorld, goodRequest } from "#tests/fixtures/catalog-requests.ts";
import { openApiDocument } from "./openapi/openapi-document.ts";
import { createValidator, listOperations, readDocument } from "./openapi/openapi-reading.ts";

const catalog = await loadCatalog();
const document = readDocument(openApiDocument(catalog));
const operations = new Map(listOperations(document).map((operation) => [operation.route, operation]));
const findFault = createValidator(document);
const endpoints = catalog.endpoints
  .map(({ declaration }) => declaration)
  .filter((declaration) => operations.has(getRoute(declaration)));

function getRoute({ method, path }: Endpoint): string {
  return `${method.toUpperCase()} ${path}`;
}

async function faultIn(endpoint: Endpoint, response: Response): Promise<string | undefined> {
  const answer = operations.get(getRoute(endpoint))?.responses[response.status];
  if (!answer) return `${response.status} is not among its answers: ${await response.text()}`;
  const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
  const media = answer.content[type];
  if (!media) return `${type} is not among the types of ${response.status}`;
  return type === "application/json" ? findFault(media.schema, await response.json()) : undefined;
}

test("every endpoint answers a good request as the document says", async () => {
  const world = await catalogWorld();
  const key = await world.login();
  const faults: string[] = [];

  for (const endpoint of endpoints) {
    const { method, path, sent } = await goodRequest(world, endpoint, key);
    const fault = await faultIn(endpoint, await world.request(method, path, sent));
    if (fault !== undefined) faults.push(`${getRoute(endpoint)}: ${fault}`);
  }

  expect(endpoints.length).toBeGreaterThan(80);
  expect(faults).toEqual([]);
});

test("every endpoint refuses a request without a key, with an unknown id or with an invalid body as the document says", async () => {
  const world = await catalogWorld();
  const key = await world.login();
  const faults: string[] = [];

  for (const endpoint of endpoints) {
    const method = endpoint.method.toUpperCase();
    const path = endpoint.path.replaceAll(/\{\w+\}/g, "nope");
    const sent = [
      ...(endpoint.public ? [] : [{}]),
      ...(endpoint.params && !endpoint.admin ? [{ key }] : []),
      ...(endpoint.body && !endpoint.admin ? [{ ...(!endpoint.public && { key }), body: "[]" }] : []),
    ];
    for (const entry of sent) {
      const fault = await faultIn(endpoint, await world.request(method, path, entry));
      if (fault !== undefined) faults.push(`${getRoute(endpoint)}: ${fault}`);
    }
  }

  expect(faults).toEqual([]);
});

test("health, readiness, a sleeping session's chat and logs as text have the status and type that the document says", async () => {
  let isDown = false;
  const world = await catalogWorld({
    wrap: (ports) => ({
      ...ports,
      queue: {
        ...ports.queue,
        depth: async (name) => (isDown ? Promise.reject(new Error("down")) : ports.queue.depth(name)),
      },
    }),
  });
  const key = await world.login();
  const find = (route: string) => endpoints.find((endpoint) => getRoute(endpoint) === route) as Endpoint;
  const ask = async (route: string, path: string, sent: Parameters<typeof world.request>[2]) => {
    const response = await world.request(route.split(" ")[0] ?? "", path, sent);
    return [response.status, await faultIn(find(route), response)];
  };
  const made = await world.request("POST", "/session/create", { key, body: { user_id: "u" } });
  const { uuid } = (await made.json()) as { uuid: string };
  const job = await goodRequest(world, find("GET /v1/jobs/{job_id}/logs"), key);

  const chat = await ask("POST /session/{uuid}/chat", `/session/${uuid}/chat`, { key, body: { message: "Hello!" } });
  const logs = await ask("GET /v1/jobs/{job_id}/logs", job.path, { key, headers: { Accept: "text/plain" } });
  isDown = true;
  const health = await ask("GET /health", "/health", {});
  const ready = await ask("GET /ready", "/ready", {});

  expect({ chat, logs, health, ready }).toEqual({
    chat: [202, undefined],
    logs: [200, undefined],
    health: [503, undefined],
    ready: [503, undefined],
  });
});

test("every example of a request is valid, and creates what its endpoint creates", async () => {
  const world = await catalogWorld({ settings: { stsOrigins: ["https://sts.us-east-1.amazonaws.com"] } });
  const key = await world.login();
  const refused: string[] = [];
  const [made, keyed] = [new Set<string>(), new Set<string>()];

  for (const endpoint of endpoints) {
    const body = operations.get(getRoute(endpoint))?.requestBody;
    for (const [name, { value }] of Object.entries(body?.content["application/json"]?.examples ?? {})) {
      if (endpoint.creates) keyed.add(getRoute(endpoint));
      const { method, path, sent } = await goodRequest(world, endpoint, key);
      const response = await world.request(method, path, { ...sent, body: value });
      if (response.status === 400) refused.push(`${getRoute(endpoint)} ${name}: ${await response.text()}`);
      if (endpoint.creates && response.ok) made.add(getRoute(endpoint));
    }
  }

  expect(refused).toEqual([]);
  expect(keyed).toContain("POST /v1/jobs/submit");
  // A running environment does not start again.
  expect([...keyed].filter((route) => !made.has(route))).toEqual(["POST /api/v1/environments/start"]);
});
