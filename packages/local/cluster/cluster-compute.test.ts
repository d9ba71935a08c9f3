import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Compute, Observation, Run } from "#core/ports/compute.ts";
import { countedPages } from "#gateway/ingress/page-use.ts";
import { type ClusterAccess, reopen, withAccess } from "./cluster-compute.ts";
import { clusterEntries } from "./cluster-entries.ts";
import { clusterPorts } from "./cluster-gateway.ts";
import { localPorts } from "./cluster-ports.ts";

const uid = "a".repeat(32);
const name = `${uid}-r1`;
const [first, second] = ["ssh-ed25519 AAAA", "ssh-ed25519 BBBB"] as const;
const pod: Observation = {
  state: "ready",
  started: true,
  exitCode: null,
  endedAt: null,
  reason: null,
  nodes: [],
  isolation: "pod",
  limits: "none",
  sessions: 0,
  terminating: false,
  notes: [],
  jupyter: null,
  address: { ip: "10.0.0.9", port: null },
  ports: [
    { port: 8080, kind: "http", address: "10.1.0.7:8080", answers: true },
    { port: 22, kind: "ssh", address: "10.1.0.7:22", answers: true },
  ],
};
/** A server inside the run. */
const server = createServer((socket) => socket.end("from the run"));
let home: string;
let seen: Observation | undefined;
let runs: { uid: string; run: number; key: string }[];
let stops: (() => void)[];

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-cluster-compute-"));
  seen = pod;
  runs = [{ uid, run: 1, key: "k" }];
  stops = [];
  await once(server.listen(0, "127.0.0.1"), "listening");
});

afterEach(() => {
  for (const stop of stops) stop();
  server.close();
  rmSync(home, { recursive: true });
});

const ownSsh = { port: 2222, hostKey: "ssh-ed25519 HOST" };

/** A stack in this home. Without its own SSH server, nodes lead to those of runs. */
function opened(access: Pick<ClusterAccess, "ssh"> = { ssh: ownSsh }) {
  const entries = clusterEntries(home);
  const dial = async () => connect((server.address() as AddressInfo).port, "127.0.0.1");
  const ports = localPorts(dial);
  stops.push(() => ports.stop());
  const cluster = {
    apply: async () => undefined,
    observe: async () => seen,
    setAccess: async () => undefined,
    remove: async () => false,
    listRuns: async () => runs,
  } as Partial<Compute> as Compute;
  const noRuns = { open: () => Promise.reject(new Error("none")), dial };
  return {
    ports,
    compute: withAccess(cluster, { entries, ports, ...access }),
    ...clusterPorts(entries, noRuns),
    reopen: () => reopen({ entries, ports }, cluster),
  };
}

const entered = { run: name, login: "gpu-dev-1" };
const answer = (revision: number, keys: readonly string[]) => ({ revision, login: "gpu-dev-1", keys, jupyter: null });
const getPort = (observation: Observation | undefined) => Number(observation?.ports[0]?.address?.split(":")[1]);
const input = (port: number) => text(connect(port, "127.0.0.1"));

it("shows a run only at addresses of this machine, which lead to it", async () => {
  const { compute } = opened();

  const observation = await compute.observe(uid, 1);

  expect(observation?.address).toEqual({ ip: "127.0.0.1", port: 2222, hostKey: "ssh-ed25519 HOST" });
  expect(observation?.ports.map(({ address }) => address)).toEqual([
    expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    "127.0.0.1:2222",
  ]);
  expect(await input(getPort(observation))).toBe("from the run");
});

it.each([
  [{ ip: "10.0.0.9", port: 30_022 }, "10.0.0.9:30022"],
  [{ ip: "fd00::9", port: 30_022 }, "[fd00::9]:30022"],
  [{ ip: "10.0.0.9", port: null, problem: "No port for SSH is free" }, null],
])("shows the node's address for SSH, and this machine's for pages: %j", async (address, at) => {
  const { compute } = opened({ ssh: undefined });
  seen = { ...pod, address };

  const observation = await compute.observe(uid, 1);

  expect(observation?.address).toEqual(address);
  expect(observation?.ports[1]?.address).toBe(at);
  expect(await input(getPort(observation))).toBe("from the run");
});

it("keeps ports and keys for the next start of the stack", async () => {
  const before = opened();
  const port = getPort(await before.compute.observe(uid, 1));
  await before.compute.setAccess(uid, 1, answer(1, [first]));
  before.ports.stop();

  const after = opened();
  await after.reopen();

  expect(await input(port)).toBe("from the run");
  expect(await after.directory.find("gpu-dev-1")).toEqual([{ name, keys: [first] }]);
  expect(getPort(await after.compute.observe(uid, 1))).toBe(port);
});

it("admits only keys of the newest access, in any order of updates", async () => {
  const { compute, directory } = opened();
  await compute.setAccess(uid, 1, answer(8, [second]));

  await compute.setAccess(uid, 1, answer(7, [first]));

  const admits = [await directory.admits(entered, first), await directory.admits(entered, second)];
  expect([...admits, await directory.find("gpu-dev-2")]).toEqual([false, true, []]);
});

it("closes the ports of an ended run, opens them again if it lives, and forgets removed runs", async () => {
  const { compute, directory } = opened();
  await compute.setAccess(uid, 1, answer(1, [first]));
  const port = getPort(await compute.observe(uid, 1));

  seen = undefined;
  const gone = await compute.observe(uid, 1);
  const whileGone = [await directory.admits(entered, first), await input(port).catch(({ code }) => code)];
  seen = pod;
  const again = await compute.observe(uid, 1);
  const whileBack = [await directory.admits(entered, first), await input(port)];
  await compute.remove(uid, 1, { graceSeconds: 10, force: false });
  seen = { ...pod, terminating: true };
  const going = await compute.observe(uid, 1);

  expect([gone, whileGone]).toEqual([undefined, [false, "ECONNREFUSED"]]);
  expect([getPort(again), whileBack]).toEqual([port, [true, "from the run"]]);
  expect([going?.address, going?.ports[0]?.address, await directory.find("gpu-dev-1")]).toEqual([null, null, []]);
  expect(readdirSync(join(home, "cluster-runs"))).toEqual([]);
});

it("forgets at its start the runs that the cluster no longer has", async () => {
  const before = opened();
  await before.compute.setAccess(uid, 1, answer(1, [first]));
  runs = [];

  const after = opened();
  await after.reopen();

  expect([await after.directory.find("gpu-dev-1"), readdirSync(join(home, "cluster-runs"))]).toEqual([[], []]);
});

it("takes another port if its own is taken, and logs that", async () => {
  const before = opened();
  const port = getPort(await before.compute.observe(uid, 1));
  before.ports.stop();
  const otherServer = createServer();
  await once(otherServer.listen(port, "127.0.0.1"), "listening");

  const later = getPort(await opened().compute.observe(uid, 1));
  otherServer.close();

  expect(later).not.toBe(port);
  expect(await input(later)).toBe("from the run");
});

it("leads to the Jupyter of a run at any address in the cluster", async () => {
  const jupyter = { state: "on", origin: "http://10.1.0.7:8888", reason: null } as const;
  const { compute } = opened();
  seen = { ...pod, jupyter, ports: [{ port: 8888, kind: "jupyter", address: "10.1.0.7:8888", answers: true }] };

  const on = await compute.observe(uid, 1);

  const [, port] = /^http:\/\/127\.0\.0\.1:(\d+)$/.exec(on?.jupyter?.origin ?? "") ?? [];
  expect(on?.ports[0]?.address).toBe(`127.0.0.1:${port}`);
  expect(await input(Number(port))).toBe("from the run");
});

it("knows the runs without a disk, even after a restart", async () => {
  const { compute } = opened();
  const mounts = [{ volume: { id: "vol-1", zone: "z" }, path: "/workspace" }];
  const apply = (changes: object) => compute.apply({ uid, run: 1, mounts: [], ...changes } as unknown as Run);

  await apply({});
  await apply({ run: 2, mounts });

  const { directory } = opened();
  const known = [1, 2, 3].map((n) => directory.hasNoDisk({ run: `${uid}-r${n}`, login: "" }));
  expect(await Promise.all(known)).toEqual([true, false, false]);
});

it("counts open connections of pages as use, but none of a run that it does not know", async () => {
  const { compute, getUse } = opened();
  await compute.observe(uid, 1);
  const connectPage = countedPages(() => new PassThrough(), getUse, 0);
  const count = async () => (await compute.observe(uid, 1))?.sessions;

  const before = await count();
  const streams = [];
  for (const run of [name, name, `${uid}-r9`]) streams.push(await connectPage({ run, port: 8080, address: null }));
  const during = await count();
  for (const stream of streams) stream.destroy();

  expect([before, during]).toEqual([0, 2]);
  await expect.poll(count).toBe(0);
});
