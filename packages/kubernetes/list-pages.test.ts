import type { IncomingMessage } from "node:http";
import { afterEach, expect, it } from "vitest";
import { type ApiClient, apiClient } from "./api-client.ts";
import { answerJson, type LoopbackServer, loopbackServer } from "./loopback-trial.ts";
import type { KubeObject } from "./objects.ts";

const KIB = 1024;
/** A client of this test reads no longer answer. */
const MOST = 64 * KIB;

let server: LoopbackServer;
let client: ApiClient;

afterEach(async () => {
  client.close();
  await server.close();
});

/** Serves pods of these sizes, as an API server does: whole, or as their metadata alone. */
async function serve(sizes: readonly number[]): Promise<void> {
  const part = (request: IncomingMessage) => request.headers.accept?.includes("PartialObjectMetadataList") ?? false;
  server = await loopbackServer(
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
  client = apiClient(server.access);
}

const nameOf = ({ metadata }: KubeObject): string[] => [metadata.name];
const limits = () =>
  server.requests.map(({ url }) => Number(new URL(url, server.access.url).searchParams.get("limit")));

it("a page that is too long is asked for in smaller ones, which grow again behind it", async () => {
  const pods = Array.from({ length: 900 }, (_, at) => (at < 500 ? 140 : 0));
  await serve(pods);

  const { items, resourceVersion } = await client.list("/api/v1/pods", nameOf);

  expect(items).toEqual(pods.map((_, at) => `pod-${at}`));
  expect(resourceVersion).toBe("7");
  expect(limits()).toEqual([500, 125, 250, 500, 500]);
});

it("an object that is too large by itself is named, and the others are listed", async () => {
  await serve([1, MOST, 1]);
  const leftOut: string[] = [];

  const { items } = await client.list("/api/v1/pods", nameOf, { leaveOut: (name) => leftOut.push(name) });

  expect([items, leftOut]).toEqual([["pod-0", "pod-2"], ["team/pod-1"]]);
});

it("a list that may lack nothing is none then, and its error names the object", async () => {
  await serve([MOST, 1]);

  await expect(client.list("/api/v1/pods?labelSelector=a", nameOf)).rejects.toMatchObject({
    name: "ApiUnreachable",
    message: "GET /api/v1/pods: team/pod-0: too long",
  });
});
