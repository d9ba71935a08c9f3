import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "#kubernetes/fixtures/loopback-fixture.ts";
import { memoryBlobs } from "#tests/fakes/memory-blobs.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { clusterEnvironments } from "./cluster-environments.ts";
import type { Exposure } from "./cluster-exposure.ts";

interface Lease {
  readonly metadata: object;
  readonly spec: Record<string, unknown>;
}

let home: string;
let server: LoopbackServer;
let lease: Lease | undefined;
/** Ends of paths that the server is in trouble about. */
let troubled: RegExp | undefined;
let releases: (() => Promise<void>)[];
let sshStarts: number;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-cluster-environments-"));
  [lease, troubled, releases, sshStarts] = [undefined, undefined, [], 0];
  server = await loopbackServer((request, response) => {
    const { method, url = "" } = request;
    const path = url.split("?")[0] ?? "";
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      if (troubled?.test(path)) return refuse(response, 503, "ServiceUnavailable");
      if (!path.includes("/leases")) return answerJson(response, prepared(path), method === "POST" ? 201 : 200);
      if (method !== "GET") lease = { ...JSON.parse(Buffer.concat(parts).toString()), metadata: { uid: "lease" } };
      return lease ? answerJson(response, lease) : refuse(response, 404, "NotFound");
    });
  });
});

afterEach(async () => {
  await Promise.all(releases.map((release) => release()));
  await server.close();
  rmSync(home, { recursive: true });
});

/** A review, a list without items, or the namespace. */
function prepared(path: string): object {
  return { status: { allowed: true }, items: [], metadata: { uid: `uid of ${path}`, resourceVersion: "1" } };
}

function open(exposure: Exposure = { sshPort: undefined, web: undefined }) {
  const { url, ca = "" } = server.access;
  const cluster = { server: url, "certificate-authority-data": Buffer.from(ca).toString("base64") };
  const kubeconfig = join(home, "kubeconfig");
  const config = {
    "current-context": "dev",
    contexts: [{ name: "dev", context: { cluster: "dev", user: "me" } }],
    clusters: [{ name: "dev", cluster }],
    users: [{ name: "me", user: { token: "secret-token" } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  return clusterEnvironments({
    home,
    isUsed: false,
    kubeconfig,
    context: undefined,
    environment: {},
    nodeTypes: [],
    tolerations: [],
    pods: {},
    log: silentLog(),
    signal: new AbortController().signal,
    toolsImage: undefined,
    blobs: memoryBlobs(),
    watchesGpus: false,
    exposure,
    startSsh: async () => {
      sshStarts += 1;
      return { port: 0, hostKey: "", drain: async () => undefined, stop: async () => undefined };
    },
    whenStopped: (release) => releases.push(release),
  });
}

test("a stack that released its lease sends the cluster no more requests", async () => {
  const environments = await open();
  await environments.compute.listNodes();
  await Promise.all(releases.map((release) => release()));
  const before = server.requests.length;

  const nodes = environments.compute.listNodes();

  await expect(nodes).rejects.toThrow("This stack has stopped");
  expect(server.requests.length).toBe(before);
  expect(lease?.spec).toMatchObject({ holderIdentity: "" });
  await environments.shutdown();
});

test.each([
  ["has an SSH server of its own", undefined, 1],
  ["has no SSH server if nodes lead to those of runs", 2222, 0],
])("a stack %s", async (_, sshPort, starts) => {
  const environments = await open({ sshPort, web: undefined });

  expect(sshStarts).toBe(starts);
  await environments.shutdown();
});

test.each([/\/leases/, /\/nodes$/])(
  "the error names a cluster that fails for %s, and how to check it",
  async (path) => {
    troubled = path;

    const failed = await open().catch((error: Error) => error.message);

    expect(failed).toContain(`The API server ${server.access.url} of context dev refused`);
    expect(failed).toContain("kubectl --context dev get nodes");
  },
);
