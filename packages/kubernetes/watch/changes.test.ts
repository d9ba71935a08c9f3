import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import type { RunRef } from "#core/ports/compute.ts";
import { type ApiClient, apiClient } from "../client/api-client.ts";
import { runsAmong } from "../fixtures/changed-runs-fixture.ts";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "../fixtures/loopback-fixture.ts";
import { buildPaths } from "../paths.ts";
import { followRuns } from "./changes.ts";
import { knownPods } from "./run-caches.ts";

const digits = (digit: string) => digit.repeat(32);
let server: LoopbackServer;
let client: ApiClient;

afterEach(closeAll);

async function closeAll(): Promise<void> {
  client.close();
  await server.close();
}

/** Server with these pods and no Jobs, which emits the given events of pods. */
async function opened(pods: readonly object[], { from, version = "1" }: { from?: string; version?: string } = {}) {
  const [watch, jobWatch] = [Promise.withResolvers<ServerResponse>(), Promise.withResolvers<ServerResponse>()];
  const nodeWatch = Promise.withResolvers<ServerResponse>();
  server = await loopbackServer((request, response) => {
    const { url = "" } = request;
    const isPods = url.includes("environments/pods?");
    if (!url.includes("watch=1")) {
      return answerJson(response, { metadata: { resourceVersion: version }, items: isPods ? pods : [] });
    }
    response.writeHead(200).flushHeaders();
    if (isPods) watch.resolve(response);
    if (url.includes("/nodes?")) nodeWatch.resolve(response);
    if (url.includes("/jobs?")) jobWatch.resolve(response);
  });
  client = apiClient(server.access);
  const ending = new AbortController();
  const known = knownPods();
  const place = { client, paths: buildPaths("environments"), deployment: "one", known };
  const changes = followRuns(place, ending.signal, from);
  const seen: string[] = [];
  const reached: string[] = [];
  const nodesChanged = Promise.withResolvers<void>();
  return {
    seen,
    nodesChanged: nodesChanged.promise,
    known,
    ending,
    async upTo(wanted: string) {
      while (!reached.includes(wanted)) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    ended: (async () => {
      for await (const change of changes) {
        if ("uid" in change) seen.push(change.uid[0] ?? "");
        else if ("upTo" in change) reached.push(change.upTo);
        else nodesChanged.resolve();
      }
    })(),
    tell: async (...events: Events) => void (await watch.promise).write(formatLines(events)),
    tellNodes: async (...events: Events) => void (await nodeWatch.promise).write(formatLines(events)),
    tellJobs: async (...events: Events) => void (await jobWatch.promise).write(formatLines(events)),
    async until(count: number) {
      while (seen.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };
}

type Events = readonly (readonly [string, object])[];

function formatLines(events: Events): string {
  return events.map(([type, object]) => `${JSON.stringify({ type, object })}\n`).join("");
}

const mark = (resourceVersion: string) => ({ metadata: { resourceVersion } });
const main = [{ name: "main", state: { running: { startedAt: "2026-01-01T00:00:00Z" } } }];
const conditions = (...types: readonly string[]) => ({
  phase: "Running",
  containerStatuses: main,
  conditions: types.map((type) => ({ type, status: "True" })),
});

const buildPod = (digit: string, status: object = conditions(), metadata: object = {}) => ({
  metadata: {
    name: `${digits(digit)}-r1-0`,
    uid: `pod-${digit}`,
    resourceVersion: "5",
    labels: { "berth/uid": digits(digit), "berth/run": "1" },
    annotations: { "berth/key": "k" },
    ownerReferences: [{ kind: "Job", name: `${digits(digit)}-r1`, uid: "job" }],
    ...metadata,
  },
  spec: { nodeName: "one" },
  status,
});

describe("the changes of runs", () => {
  it("begin with all runs, then include only changes of observations", async () => {
    const { seen, tell, until, ending, ended } = await opened([buildPod("a"), buildPod("b")]);
    const ready = conditions("Initialized", "Ready");

    await tell(
      ["MODIFIED", buildPod("a", conditions("Initialized"), { resourceVersion: "6" })],
      ["MODIFIED", buildPod("b", ready, { resourceVersion: "7" })],
      ["MODIFIED", buildPod("b", ready, { resourceVersion: "8", annotations: { "berth/key": "k", other: "1" } })],
      ["MODIFIED", buildPod("b", ready, { resourceVersion: "9", deletionTimestamp: "2026-01-01T00:00:00Z" })],
      ["DELETED", buildPod("b", ready, { resourceVersion: "10", deletionTimestamp: "2026-01-01T00:00:00Z" })],
      ["ADDED", buildPod("c", conditions(), { resourceVersion: "11" })],
    );
    await until(6);
    ending.abort();
    await ended;

    expect(seen.join("")).toBe("abbbbc");
  });

  it("record the names of existing pods", async () => {
    const { known, tell, until, ending, ended } = await opened([buildPod("a"), buildPod("b")]);
    const findName = (digit: string) => known.findOnlyPod({ uid: digits(digit), run: 1 });

    await until(2);
    const listed = ["a", "b", "c"].map(findName);
    const gone = { resourceVersion: "7", deletionTimestamp: "2026-01-01T00:00:00Z" };
    await tell(["ADDED", buildPod("c", conditions(), { resourceVersion: "6" })], ["DELETED", buildPod("b", {}, gone)]);
    await until(4);
    ending.abort();
    await ended;

    const [a, b, c] = ["a", "b", "c"].map((digit) => `${digits(digit)}-r1-0`);
    expect(listed).toEqual([a, b, undefined]);
    expect(["a", "b", "c"].map(findName)).toEqual([a, undefined, c]);
  });

  it("include once that a pod fits nowhere, however often the scheduler rewrites its message", async () => {
    const unbound = (message: string) => {
      const why = { type: "PodScheduled", status: "False", message };
      return { ...buildPod("a", { phase: "Pending", conditions: [why] }), spec: {} };
    };
    const { seen, tell, until, ending, ended } = await opened([{ ...buildPod("a", { phase: "Pending" }), spec: {} }]);

    await tell(
      ["MODIFIED", unbound("0/3 nodes are available")],
      ["MODIFIED", unbound("0/4 nodes are available")],
      ["ADDED", buildPod("b")],
    );
    await until(3);
    ending.abort();
    await ended;

    expect(seen.join("")).toBe("aab");
  });

  it("include that a container runs whose command waits for the other machines of its run", async () => {
    const spec = { nodeName: "one", containers: [{ command: ["/.berth/supervisor", "run", "--gated"] }] };
    const gated = (state: object) => {
      const containerStatuses = [{ name: "main", state, started: false }];
      return { ...buildPod("a", { phase: "Pending", containerStatuses, conditions: [] }), spec };
    };
    const waiting = gated({ waiting: { reason: "PodInitializing" } });
    const { seen, tell, until, ending, ended } = await opened([waiting]);

    await tell(["MODIFIED", gated({ running: {} })], ["ADDED", buildPod("b")]);
    await until(3);
    ending.abort();
    await ended;

    expect(seen.join("")).toBe("aab");
  });

  it("omit a new pod and the deletion of a pod whose command has ended, but not its removal", async () => {
    const { seen, tell, until, ending, ended } = await opened([]);
    const over = { phase: "Succeeded", containerStatuses: [{ name: "main", state: { terminated: { exitCode: 0 } } }] };
    const going = { deletionTimestamp: "2026-01-01T00:00:00Z" };

    await tell(["ADDED", { ...buildPod("a", { phase: "Pending" }), spec: {} }], ["ADDED", buildPod("b")]);
    await until(1);
    await tell(["MODIFIED", buildPod("a", over)]);
    await until(2);
    await tell(["MODIFIED", buildPod("a", over, going)], ["MODIFIED", buildPod("b", conditions(), going)]);
    await until(3);
    await tell(["DELETED", buildPod("a", over, going)]);
    await until(4);
    ending.abort();
    await ended;

    expect(seen.join("")).toBe("baba");
  });

  it("include a deleted Job only if it has no pod, which would be reported itself", async () => {
    const job = (digit: string, status: object = {}) => ({
      ...buildPod(digit, status, { name: `${digits(digit)}-r1`, uid: `job-${digit}`, ownerReferences: [] }),
      spec: {},
    });
    const { seen, tell, tellJobs, upTo, until, ending, ended } = await opened([buildPod("a")]);
    await until(1);

    const version = (object: ReturnType<typeof job>, resourceVersion: string) => ({
      ...object,
      metadata: { ...object.metadata, resourceVersion },
    });
    await tellJobs(["ADDED", version(job("a"), "5")], ["ADDED", version(job("b"), "6")]);
    await tellJobs(["DELETED", version(job("a"), "7")], ["DELETED", version(job("b"), "8")]);
    await until(2);
    await tell([
      "MODIFIED",
      buildPod("a", conditions(), { resourceVersion: "9", ownerReferences: [], generateName: `${digits("a")}-r1-` }),
    ]);
    await until(3);
    await tell(["DELETED", buildPod("a", conditions(), { resourceVersion: "10" })], ["BOOKMARK", mark("11")]);
    await upTo("8.11");
    ending.abort();
    await ended;

    expect(seen.join("")).toBe("abaa");
  });

  it("include the runs on a deleted node, and no other change of a node", async () => {
    const { seen, tellNodes, until, ending, ended } = await opened([buildPod("a")]);
    const node = (name: string, resourceVersion: string) => ({ metadata: { name, uid: name, resourceVersion } });
    await until(1);

    await tellNodes(["ADDED", node("two", "5")], ["MODIFIED", node("one", "6")], ["DELETED", node("one", "7")]);
    await until(2);
    ending.abort();
    await ended;
    const listings = server.requests.filter(({ url }) => /environments\/pods\?.*fieldSelector/.test(url));

    expect(seen.join("")).toBe("aa");
    expect(decodeURIComponent(listings[0]?.url ?? "")).toContain("fieldSelector=spec.nodeName=one");
    expect(listings).toHaveLength(1);
  });

  it("include that the nodes changed", async () => {
    const { nodesChanged, ending, ended } = await opened([]);

    await nodesChanged;
    ending.abort();

    await ended;
  });

  it("continue with a warning if nodes may not be watched", async () => {
    const watch = Promise.withResolvers<ServerResponse>();
    const refused = Promise.withResolvers<string>();
    server = await loopbackServer((request, response) => {
      if (request.url?.includes("/nodes?")) return refuse(response, 403, "Forbidden");
      if (!request.url?.includes("watch=1")) {
        return answerJson(response, { metadata: { resourceVersion: "1" }, items: [] });
      }
      response.writeHead(200).flushHeaders();
      if (request.url?.includes("environments/pods?")) watch.resolve(response);
    });
    client = apiClient(server.access);
    const ending = new AbortController();
    const log = { warn: (event: string) => refused.resolve(event) };
    const place = { client, paths: buildPaths("environments"), deployment: "one", log };
    const changes = runsAmong(followRuns(place, ending.signal));
    const next = changes.next();

    const event = await refused.promise;
    (await watch.promise).write(formatLines([["ADDED", buildPod("a")]]));
    const { value } = await next;
    ending.abort();

    expect(event).toBe("the cluster refuses a call");
    expect(value).toMatchObject({ uid: digits("a") });
  });

  it("omit foreign objects with the labels of a run", async () => {
    const { seen, tell, until, ending, ended } = await opened([buildPod("a", {}, { ownerReferences: [] })]);

    await tell(["ADDED", buildPod("d", {}, { labels: { "berth/uid": "x" } })], ["ADDED", buildPod("e")]);
    await until(1);
    ending.abort();
    await ended;

    expect(seen.join("")).toBe("e");
  });

  it("contain each run once while they are not read, however often it changes", async () => {
    const watched = Array.from({ length: 2 }, () => Promise.withResolvers<ServerResponse>());
    let watches = 0;
    server = await loopbackServer((request, response) => {
      const isPods = request.url?.includes("environments/pods?") ?? false;
      if (!request.url?.includes("watch=1")) {
        return answerJson(response, {
          metadata: { resourceVersion: "1" },
          items: isPods ? [buildPod("a"), buildPod("b")] : [],
        });
      }
      response.writeHead(200).flushHeaders();
      if (isPods) watched[watches++]?.resolve(response);
    });
    client = apiClient(server.access);
    const ending = new AbortController();
    const place = { client, paths: buildPaths("environments"), deployment: "one" };
    const changes = runsAmong(followRuns(place, ending.signal));
    const first = await changes.next();
    const seen = Array.from({ length: 20 }, (_, at) => {
      const status = at % 2 === 0 ? conditions("Ready") : conditions();
      const version = { resourceVersion: String(10 + at) };
      return ["a", "b"].map((digit) => JSON.stringify({ type: "MODIFIED", object: buildPod(digit, status, version) }));
    });

    (await watched[0]?.promise)?.end(`${seen.flat().join("\n")}\n`);
    // It watches again once it has read all of that.
    await watched[1]?.promise;
    const waiting = [await changes.next(), await changes.next()];
    const next = changes.next();
    ending.abort();

    expect([first, ...waiting].map(({ value }) => value?.uid[0])).toEqual(["a", "b", "a"]);
    expect(await next).toMatchObject({ done: true });
  });

  it("give a position to continue from without a list of runs, or with all runs if it is forgotten", async () => {
    const { seen, upTo, tell, until, ending, ended } = await opened([buildPod("a")]);
    await until(1);
    await tell(
      ["MODIFIED", buildPod("a", conditions("Initialized"), { resourceVersion: "6" })],
      ["BOOKMARK", mark("9")],
    );
    await upTo("1.9");
    ending.abort();
    await ended;
    await closeAll();
    const next = await opened([buildPod("a"), buildPod("b")], { from: "1.9", version: "20" });
    await next.tell(["ADDED", buildPod("c", conditions(), { resourceVersion: "21" })]);
    await next.upTo("1.21");
    next.ending.abort();
    await next.ended;
    const lists = server.requests.filter(({ url = "" }) => !/watch=1|limit=1$|\/nodes\?/.test(url));
    await closeAll();
    const restored = await opened([buildPod("a"), buildPod("b")], { from: "9.21", version: "20" });
    await restored.upTo("9.20");
    restored.ending.abort();
    await restored.ended;

    expect(seen.join("")).toBe("a");
    expect(next.seen.join("")).toBe("c");
    expect(lists).toEqual([]);
    expect(restored.seen.join("")).toBe("ab");
  });

  it("end with an error if the cluster may not be watched", async () => {
    server = await loopbackServer((_, response) => refuse(response, 403, "Forbidden"));
    client = apiClient(server.access);
    const seen: RunRef[] = [];
    const following = async () => {
      const changes = followRuns(
        { client, paths: buildPaths("environments"), deployment: "one" },
        new AbortController().signal,
      );
      for await (const ref of runsAmong(changes)) seen.push(ref);
    };

    await expect(following()).rejects.toMatchObject({ status: 403 });
    expect(seen).toEqual([]);
  });
});
