import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadCatalog } from "#http/catalog.ts";
import { type GoodRequest, goodRequest } from "../fixtures/catalog-requests.ts";
import { type Compared, toCompared } from "./compared.ts";
import { type ContractWorld, openContractWorld } from "./contract-world.ts";
import { UNZIP_MISSING } from "./deployed.ts";
import { differences } from "./differences.ts";
import type { ViewerRequest } from "./edge.ts";
import { unchangingRequests, viewerRequest } from "./endpoint-requests.ts";
import { oddRequests } from "./odd-requests.ts";
import { LONG_MS } from "./stage.ts";

const { endpoints } = await loadCatalog();
const rows = endpoints.map(({ name, declaration }) => ({ name, endpoint: declaration }));
let world: ContractWorld | undefined;
let key = "";
const compared = new Set<string>();

beforeAll(async () => {
  if (UNZIP_MISSING !== undefined) return;
  world = await openContractWorld();
  key = await world.world.login();
}, LONG_MS);

afterAll(() => world?.stop(), LONG_MS);

/** Changes nothing, but its answer changes with each plan. */
const ASKS_BY_POST = "gpu-dev/jobs/estimate";

/** Expects equal answers, or different ones if differences.ts lists the name. */
function expectAlike(name: string, local: Compared, zips: Compared): void {
  if (name in differences) {
    compared.add(name);
    expect(zips).not.toEqual(local);
    return;
  }
  expect({ name, ...zips }).toEqual({ name, ...local });
}

/** Work continues in the stores, and request counts always change. Compare the last of these pairs then. */
const MOST_PAIRS = 5;

/** Returns the answers of both ways to a request that changes nothing, from a time without changes in the stores. */
async function getPair(
  open: ContractWorld,
  request: ViewerRequest,
): Promise<readonly [local: Compared, zips: Compared]> {
  let before = toCompared(await open.working(open.local(request)));
  for (let pairs = 1; ; pairs++) {
    const zips = toCompared(await open.working(open.zips(request)));
    const after = toCompared(await open.working(open.local(request)));
    if (isDeepStrictEqual(before, after) || pairs === MOST_PAIRS) return [before, zips];
    before = after;
  }
}

async function compareOne(open: ContractWorld, name: string, request: ViewerRequest): Promise<void> {
  expectAlike(name, ...(await getPair(open, request)));
}

function namesIn({ path }: GoodRequest, otherRequest: GoodRequest): string[] {
  const others = otherRequest.path.split("/");
  return path.split("/").filter((segment, n) => segment !== others[n]);
}

describe.each(rows)("$name, from the edge to its zip", ({ name, endpoint }) => {
  test("answers like the local server", async ({ skip }) => {
    if (!world) return skip(UNZIP_MISSING);
    const open = world;

    const request = await goodRequest(open.world, endpoint, key);
    if (endpoint.method === "get" || name === ASKS_BY_POST) {
      const [local, zips] = await getPair(open, viewerRequest(request));
      expectAlike(`${name}: its success`, local, zips);
      return expect(local.status).toBe(endpoint.status);
    }
    const atLocal = await open.working(open.local(viewerRequest(request)));
    // A request that changes something needs its own resource on each way.
    const otherRequest = await goodRequest(open.world, endpoint, key);
    const atZips = await open.working(open.zips(viewerRequest(otherRequest)));
    const [local, zips] = [
      toCompared(atLocal, namesIn(request, otherRequest)),
      toCompared(atZips, namesIn(otherRequest, request)),
    ];

    expectAlike(`${name}: its success`, local, zips);
    expect(local.status).toBe(endpoint.status);
  });

  test("refuses and reads like the local server", async ({ skip }) => {
    if (!world) return skip(UNZIP_MISSING);
    const good = await goodRequest(world.world, endpoint, key);

    for (const [subject, request] of Object.entries(unchangingRequests(endpoint, good))) {
      await compareOne(world, `${name}: ${subject}`, request);
    }
    // A hundred frozen processes would use a hundred times the memory.
    await world.deployed.named(name).stop();
  });
});

test("unusual requests are answered like by the local server", { timeout: LONG_MS }, async ({ skip }) => {
  if (!world) return skip(UNZIP_MISSING);

  for (const [name, request] of Object.entries(oddRequests(key))) await compareOne(world, name, request);
});

test("each listed difference exists", ({ skip }) => {
  if (!world) return skip(UNZIP_MISSING);

  expect([...compared].toSorted()).toEqual(Object.keys(differences).toSorted());
});
