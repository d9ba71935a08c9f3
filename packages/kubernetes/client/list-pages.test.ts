import type { IncomingMessage } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { type Answering, answerJson, type LoopbackServer, loopbackServer } from "../fixtures/loopback-fixture.ts";
import type { KubeObject } from "../objects.ts";
import { type ApiClient, apiClient } from "./api-client.ts";
import { ApiUnreachable, timedOut } from "./api-error.ts";
import type { ApiAccess } from "./exchange.ts";
import { type Answer, listPages } from "./list-pages.ts";

const KIB = 1024;
/** Limit of an answer for the client of this test. */
const MOST = 64 * KIB;

let server: LoopbackServer;
let client: ApiClient;

/** Starts a server with these answers, and a client of it, for the test. */
async function open(answer: Answering, options: Partial<ApiAccess>): Promise<void> {
  server = await loopbackServer(answer, options);
  client = apiClient(server.access);
  onTestFinished(async () => {
    client.close();
    await server.close();
  });
}

/** Serves pods of these sizes as an API server does: whole, or only their metadata. */
async function serve(sizes: readonly number[]): Promise<void> {
  const part = (request: IncomingMessage) => request.headers.accept?.includes("PartialObjectMetadataList") ?? false;
  await open(
    (request, response) => {
      const { searchParams } = new URL(request.url ?? "", server.access.url);
      const from = Number(searchParams.get("continue") ?? 0);
      const to = Math.min(sizes.length, from + Number(searchParams.get("limit")));
      const metadata = { resourceVersion: "7", ...(to < sizes.length && { continue: String(to) }) };
      const items = sizes.slice(from, to).map((bytes, at) => ({
        metadata: { namespace: "team", name: `pod-${from + at}` },
        ...(part(request) ? {} : { spec: "x".repeat(bytes) }),
      }));
      answerJson(response, { metadata, items });
    },
    { deadlineMs: 600_000, mostBytes: MOST },
  );
}

const getName = ({ metadata }: KubeObject): string[] => [metadata.name];
const limits = () =>
  server.requests.map(({ url }) => Number(new URL(url, server.access.url).searchParams.get("limit")));

it("a page that is too long is split, and later pages grow again", async () => {
  const pods = Array.from({ length: 900 }, (_, at) => (at < 500 ? 100 : 0));
  await serve(pods);

  const { items, resourceVersion } = await client.list("/api/v1/pods", getName);

  expect(items).toEqual(pods.map((_, at) => `pod-${at}`));
  expect(resourceVersion).toBe("7");
  expect(limits()).toEqual([1_000, 250, 500, 1_000]);
});

interface Pods {
  readonly count?: number;
  readonly bytes?: number;
}

/** Pods of a server that finds this many in time; a larger page is late. */
function slowPages(inTime: number, { count = 300, bytes = 1 }: Pods = {}) {
  const numbers: number[] = [];
  const pods = Array.from({ length: count }, (_, at) => ({ metadata: { name: `pod-${at}` } }));
  const read = async <Body>(path: string): Promise<Answer<Body>> => {
    const { searchParams } = new URL(path, "https://server");
    const [from, limit] = [Number(searchParams.get("continue") ?? 0), Number(searchParams.get("limit"))];
    numbers.push(limit);
    if (limit > inTime) throw new ApiUnreachable("GET /api/v1/pods", timedOut);
    const to = Math.min(pods.length, from + limit);
    const metadata = { resourceVersion: "7", ...(to < pods.length && { continue: String(to) }) };
    return { body: { metadata, items: pods.slice(from, to) } as Body, bytes: (to - from) * bytes };
  };
  const list = (answers: () => number) => listPages({ read, peek: read, answers }, "/api/v1/pods", getName);
  return { asked: numbers, list };
}

/** Pods of a server that always answers someone. */
function living(): () => number {
  let answers = 0;
  return () => ++answers;
}

it("a late page is split, and later pages stay small", async () => {
  const { asked: numbers, list } = slowPages(250);

  const { items } = await list(living());

  expect(items).toEqual(Array.from({ length: 300 }, (_, at) => `pod-${at}`));
  expect(numbers).toEqual([1_000, 250, 250]);
});

it("a list fails soon if its pages are late at any size", async () => {
  const { asked: numbers, list } = slowPages(0);

  await expect(list(living())).rejects.toThrow("GET /api/v1/pods: timed out");

  expect(numbers).toEqual([1_000, 250, 63]);
});

it("a list fails at once if the server has accepted nothing since it began, not even a page of one item", async () => {
  const { asked: numbers, list } = slowPages(0);

  await expect(list(() => 7)).rejects.toThrow("GET /api/v1/pods: timed out");

  expect(numbers).toEqual([1_000, 1]);
});

it("a list continues with smaller pages if a page of one item arrives", async () => {
  const { asked: numbers, list } = slowPages(250);

  const { items } = await list(() => 7);

  expect(items).toHaveLength(300);
  expect(numbers).toEqual([1_000, 1, 250, 250]);
});

it.each([
  ["grow to a bound while they are short", { count: 12_000, bytes: KIB }, [1_000, 2_000, 4_000, 4_000, 4_000]],
  ["grow to a size that is read easily", { count: 6_000, bytes: 8 * KIB }, [1_000, 2_000, 2_048, 2_048]],
  ["are fewer items where these are large", { count: 2_500, bytes: 32 * KIB }, [1_000, 512, 512, 512]],
])("pages %s", async (_, pods, limits) => {
  const { asked: numbers, list } = slowPages(Number.POSITIVE_INFINITY, pods);

  expect((await list(living())).items).toHaveLength(pods.count);
  expect(numbers).toEqual(limits);
});

/** Two pods of a server that is late for one call, counted from 1. */
async function openLate(late: number): Promise<void> {
  const answer: Answering = (request, response) => {
    const { searchParams } = new URL(request.url ?? "", server.access.url);
    const [from, limit] = [Number(searchParams.get("continue") ?? 0), Number(searchParams.get("limit"))];
    const items = [{ metadata: { name: `pod-${from}` } }];
    answerJson(response, { metadata: { resourceVersion: "7", continue: from === 0 && limit > 1 ? "1" : "" }, items });
  };
  let tokens = 0;
  const token = () => (++tokens === late ? new Promise<never>(() => undefined) : Promise.resolve("secret-token"));
  await open(answer, { token, deadlineMs: 3_000 });
}

it("a list tolerates a late page after one that arrived", async () => {
  await openLate(2);

  const { items } = await client.list("/api/v1/pods", getName);

  expect([items, limits()]).toEqual([
    ["pod-0", "pod-1"],
    [1_000, 500],
  ]);
});

it("a client's first call may be a page that is late", async () => {
  await openLate(1);

  const { items } = await client.list("/api/v1/pods", getName);

  expect([items, limits()]).toEqual([
    ["pod-0", "pod-1"],
    [1, 250, 250],
  ]);
});

it("a list names an object that is too large, and continues without it", async () => {
  await serve([1, MOST, 1]);
  const leftOut: string[] = [];

  const { items } = await client.list("/api/v1/pods", getName, { leaveOut: (name) => leftOut.push(name) });

  expect([items, leftOut]).toEqual([["pod-0", "pod-2"], ["team/pod-1"]]);
});

it("a list that must be complete fails on an object that is too large, and names it", async () => {
  await serve([MOST, 1]);

  await expect(client.list("/api/v1/pods?labelSelector=a", getName)).rejects.toMatchObject({
    name: "ApiUnreachable",
    message: "GET /api/v1/pods: team/pod-0: too long",
  });
});
