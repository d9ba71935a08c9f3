import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { requestCancel, requestExtension } from "#core/environments/verbs/actions.ts";
import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import { keyText } from "#core/store/keys.ts";
import type { ApiClient } from "../client/api-client.ts";
import { kubernetesCompute } from "../compute.ts";
import { type AskingCall, askingCompute } from "../fixtures/asking-compute-fixture.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { type CoreFixture, startCore } from "../fixtures/core-fixture.ts";
import { type CountedClient, countedClient } from "../fixtures/counted-client-fixture.ts";
import type { KubeObject } from "../objects.ts";

const LONGEST_MS = 300_000;

/** Each object is created once. The first patch notes the node, the second keeps the Job as a tombstone. */
const oneLife = ["apply secrets", "create jobs", "patch jobs", "patch jobs", "remove secrets", "remove pods"];

let fixture: ClusterFixture;
let counted: CountedClient;
let core: CoreFixture;
let home: string;
/** Reads in their order. */
let reads: string[];
let calls: readonly AskingCall[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "berth-core-"));
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
  reads = [];
  counted = countedClient(notingReads(fixture.client));
  const asking = askingCompute(counted.client, (client) => kubernetesCompute({ ...fixture.options, client }));
  calls = asking.calls;
  core = await startCore(asking.compute);
});

function notingReads(client: ApiClient): ApiClient {
  return {
    ...client,
    find: <Body>(path: string, deadline?: AbortSignal) => {
      reads.push(path);
      return client.find<Body>(path, deadline);
    },
    list: (path, ...how) => {
      reads.push(path);
      return client.list(path, ...how);
    },
  };
}

afterEach(async () => {
  await core.stop();
  await fixture.stop();
  await rm(home, { recursive: true });
});

it("runs jobs to their ends, with log, exit code and reason, and leaves nothing of them", {
  timeout: LONGEST_MS,
}, async () => {
  const gate = getGate();
  await core.create("done", { command: `echo hello; ${gate.opened}; exit 0`, env: { A: "b" }, gpus: 4 });
  await core.create("fails", { command: "exit 3", gpus: 1 });
  await core.create("typo", { command: "true", image: "berth.test/none:1", gpus: 1 });
  await core.until("done", ({ phase }) => phase === "active");
  await gate.open();

  const [done, fails, typo] = await Promise.all([
    core.until("done", ({ phase }) => phase === "completed"),
    core.until("fails", ({ phase }) => phase === "failed"),
    core.until("typo", ({ phase }) => phase === "failed"),
  ]);

  expect(new TextDecoder().decode(await core.ctx.blobs.get(done.log?.blob ?? ""))).toBe("hello\n");
  expect(fails.reason).toContain("3");
  expect(typo.reason).toContain("Image not found");
  expect(await fixture.compute.listRuns()).toEqual([]);
  const changes = counted.listChanges(done.uid);
  expect(changes.slice(0, oneLife.length)).toEqual(oneLife);
  // A slow cluster still has its pod at the next reconcile, which deletes it again.
  expect(changes.slice(oneLife.length).filter((change) => !change.startsWith("remove "))).toEqual([]);
});

it("makes only the calls that the reconciles of a job need, and none twice", {
  timeout: LONGEST_MS,
}, async () => {
  const gate = getGate();
  await core.create("short", { command: gate.opened, gpus: 1 });
  await core.until("short", ({ phase }) => phase === "active");
  await gate.open();
  await core.until("short", ({ phase }) => phase === "completed");

  const [first, ...others] = calls;
  const listRequests = (name: string, isThere = true) =>
    others.filter((call) => call.name === name && call.isThere === isThere).map(({ requests }) => requests.join(", "));

  // The node was read for its size, and counts as read for 2 s.
  expect(first).toMatchObject({ name: "apply", requests: ["find nodes", "create jobs"] });
  expect(listRequests("apply")).toEqual([]);
  // An unbound run has no node, and the node is recorded once. A pod is listed until the watch has shown its name.
  const messages = ["find jobs, find pods", "find jobs, list pods"];
  const more = ["", ", find nodes", ", patch jobs", ", find nodes, patch jobs"];
  // A removed run whose pod still exists is read by lists.
  const going = ["list jobs, list pods", "list jobs, list pods, find nodes"];
  const seen = [...messages.flatMap((recordKey) => more.map((name) => `${recordKey}${name}`)), ...going];
  const fromMemory = listRequests("observe").filter((requests) => requests === "");
  expect(listRequests("observe").filter((requests) => requests !== "" && !seen.includes(requests))).toEqual([]);
  const ofLiving = listRequests("observe").filter((requests) => requests !== "" && !going.includes(requests));
  expect(ofLiving.at(-1)).toMatch(/^find jobs, find pods/);
  // The end was observed once; the reconciles that keep the log and remove the run reuse it.
  expect(fromMemory).toHaveLength(2);
  expect(listRequests("observe").filter((requests) => requests.includes("patch"))).toHaveLength(1);
  expect(listRequests("observe", false)).toEqual(["list jobs, list pods"]);
  expect(listRequests("readLog")).toEqual(listRequests("readLog").map(() => "open log"));
  // Repeated only if the reconcile before saw leftovers, which go by themselves on a fast cluster.
  const removals = others.flatMap(({ name, requests }, at) =>
    name === "remove" ? [{ requests: requests.join(", "), at }] : [],
  );
  const lastSeen = removals.map(({ at }) => others.slice(0, at).findLast(({ name }) => name === "observe")?.isThere);
  expect(lastSeen).toEqual(removals.map(() => true));
  expect(removals[0]?.requests).toBe("patch jobs, remove pods");
  const again = removals.slice(1).map(({ requests }) => requests);
  expect(again.filter((requests) => !["", "remove jobs", "remove pods"].includes(requests))).toEqual([]);
});

it("extends, then cancels a job, and starts the one that waited for its GPUs", { timeout: LONGEST_MS }, async () => {
  await core.create("first", { command: "while :; do sleep 1; done" });
  const first = await core.until("first", ({ phase }) => phase === "active");
  await core.create("second", { command: "while :; do sleep 1; done" });
  const waiting = await core.until("second", ({ phase }) => phase === "queued");
  await requestExtension(core.as, "first", 3_600_000);
  const extended = await core.until("first", ({ requests }) => requests.list.some(({ status }) => status === "done"));

  await requestCancel(core.as, "first");
  await core.until("first", ({ phase }) => phase === "cancelled");
  const second = await core.until("second", ({ phase }) => phase === "active");

  expect(first.run.machines).toMatchObject([{ name: "one", providerId: "aws:///us-east-1a/i-one", silent: null }]);
  expect(waiting.run.grant).toBeNull();
  expect(extended.times.endsAt).toBe((first.times.endsAt ?? 0) + 3_600_000);
  expect(await fixture.compute.listRuns()).toMatchObject([{ uid: second.uid }]);
});

it("makes no call for a job that matches the listing of the machines", { timeout: LONGEST_MS }, async () => {
  await core.create("idle", { gpus: 1 });
  const { uid, pk, sk } = await core.until("idle", ({ phase, run }) => phase === "active" && run.mark !== undefined);
  const recordKey = keyText({ pk, sk });
  await core.stop();
  const { dueAt = 0 } = await core.until("idle", () => true);
  core.skip(dueAt - core.ctx.clock.now());
  await refreshCapacity(core.ctx);
  const ofListing = reads.filter((path) => path.startsWith("/api/v1/nodes?") || path.startsWith("/api/v1/pods?"));

  const getReads = async (message: ReconcileRequest) => {
    reads = [];
    await reconcile(core.ctx, message);
    return reads.length;
  };
  const [spared, after] = [await getReads({ look: recordKey }), await core.until("idle", () => true)];
  const signalled = await getReads({ look: recordKey, hint: true });
  await fixture.client.remove(`/api/v1/namespaces/${namespace}/pods/${await getPod(uid)}`, { uid: undefined });
  core.skip((after.dueAt ?? 0) - core.ctx.clock.now());
  await refreshCapacity(core.ctx);
  const changed = await getReads({ look: recordKey });

  expect(ofListing.length).toBeGreaterThan(0);
  expect(spared).toBe(0);
  expect(after.dueAt).toBeGreaterThan(dueAt);
  expect([signalled, changed].every((count) => count > 0)).toBe(true);
});

async function getPod(uid: string): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=berth/uid=${uid}`;
  const { items } = await fixture.client.list(path, (pod: KubeObject) => [pod.metadata.name]);
  return items[0] ?? "";
}

/** Gate of a command, which the test opens. */
function getGate(): { readonly opened: string; open(): Promise<void> } {
  const file = join(home, "opened");
  return { opened: `until [ -e '${file}' ]; do sleep 0.02; done`, open: () => writeFile(file, "") };
}
