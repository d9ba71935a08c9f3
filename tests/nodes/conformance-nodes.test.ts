import { randomBytes } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Compute, ComputeNode } from "#core/ports/compute.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { must } from "../cluster/objects.ts";
import { type Behaviour, computeConformance, type DefineTest } from "../conformance/compute.ts";
import { type ExecBehaviour, type ExecUnderTest, execConformance } from "../conformance/exec.ts";
import { type PortsUnderTest, portsConformance } from "../conformance/ports.ts";
import { clearRuns, type DriverFixture, openDriverFixture, readLogPatiently, untilRead } from "./driver-fixture.ts";
import { debianImage } from "./images.ts";

/** Names of the nodes by lane. Lanes run beside each other, since their tests mostly wait for the nodes. */
const lanes: readonly (readonly string[])[] = [["one", "two"], ["three", "four"], ["five"]];
let fixture: DriverFixture;

beforeAll(async () => {
  const nodes = lanes.flat().map((name) => ({ name, instanceType: "p5.48xlarge" }));
  fixture = await openDriverFixture({ nodes });
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as DriverFixture | undefined)?.stop());

describe.concurrent("kubernetes compute on real nodes", () => {
  describe("as every Compute, every other test", { concurrent: false }, () => {
    computeConformance(() => openLane(0), everyOther(0));
  });
});

describe.concurrent("kubernetes compute on real nodes", () => {
  describe("as every Compute, the rest", { concurrent: false }, () => {
    computeConformance(() => openLane(1), everyOther(1));
  });
});

describe.concurrent("kubernetes compute on real nodes", () => {
  describe("as every Compute with commands and ports", { concurrent: false }, () => {
    describe("kubernetes compute", () => execConformance(openCommands));
    describe("kubernetes compute", () => portsConformance(openPorts));
  });
});

/** Asks less often than most tests want, since the nodes compute on this machine too. */
const pass = (ms: number) => sleep(Math.max(ms, 100));

async function openLane(lane: number) {
  const names = lanes[lane] ?? [];
  const driver = kubernetesCompute({ ...fixture.computeOptions, deployment: `lane-${lane}` });
  const listNodes: Compute["listNodes"] = async (...only) =>
    (await driver.listNodes(...only)).filter(({ name }) => names.includes(name));
  const compute: Compute = {
    ...driver,
    listNodes,
    apply: (run) => driver.apply({ ...run, image: debianImage }),
    readLog: (...log) => readLogPatiently(driver, ...log),
  };
  const nodes: readonly ComputeNode[] = await listNodes();
  const address = await findAddress(nodes[0]?.name ?? "");
  const command = (_: string, behaviour: Behaviour) => formatCommand(behaviour);
  return { compute, nodes, address, now: Date.now, pass, command, close: () => clearRuns(driver) };
}

/** Returns the address that the node reports. */
async function findAddress(node: string): Promise<string | undefined> {
  const { status } = must(await fixture.cluster.admin.get<NodeAddresses>(`/api/v1/nodes/${node}`));
  return status.addresses.find(({ type }) => type === "InternalIP")?.address;
}

interface NodeAddresses {
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
}

function everyOther(remainder: 0 | 1): DefineTest {
  let count = 0;
  return (title, run) => {
    if (count % 2 === remainder) it(title, run);
    count += 1;
  };
}

/** A shell as the first process of its container ignores SIGTERM unless it traps it. */
function formatCommand({ prints, exits, ignoresTerm = false, lastWords }: Behaviour): string {
  const print = formatPrint(prints.map((line) => `${line}\n`).join(""));
  if (exits !== undefined) return `${print}; exit ${exits}`;
  const onTerm = lastWords ? `echo "${lastWords}"; ${untilRead}; exit 0` : "exit 0";
  return `trap '${ignoresTerm ? "" : onTerm}' TERM; ${print}; while :; do sleep 0.1; done`;
}

/** Returns a command that prints the text. Compressed twice, since Linux limits a word to 128 KiB (execve(2)). */
function formatPrint(text: string): string {
  return text === "" ? ":" : `echo ${gzipSync(gzipSync(text)).toString("base64")} | base64 -d | gzip -d | gzip -d`;
}

async function openCommands(): Promise<ExecUnderTest> {
  const run = await fixture.applied({ shares: [{ node: "five", units: 1 }] });
  await fixture.until(run, (seen) => seen?.state === "ready");
  const applied = { uid: run.uid, run: 1 };
  return { compute: fixture.compute, applied, pass, words: formatWords, times: countTimes, close: fixture.clear };
}

function formatWords({ stdout = "", stderr = "", exits = 0, takesMs = 0 }: ExecBehaviour): readonly string[] {
  const count = `echo x >>/tmp/times-${randomBytes(4).toString("hex")}`;
  const rest = takesMs === null ? "while :; do sleep 1; done" : `sleep ${takesMs / 1_000}`;
  const script = `${count}; ${formatPrint(stdout)}; ${formatPrint(stderr)} >&2; ${rest}; exit ${exits}`;
  return ["/bin/sh", "-c", script];
}

/** Reads the count in the only container that has its file. */
function countTimes([, , script = ""]: readonly string[]): number {
  const file = /times-[0-9a-f]+/.exec(script)?.[0] ?? "";
  const roots = fixture.cluster.nodes.map(({ machine }) => `/proc/${machine.pid}/root/run/containerd`);
  const [path] = globSync(roots.map((root) => `${root}/io.containerd.runtime.v2.task/k8s.io/*/rootfs/tmp/${file}`));
  return path === undefined ? 0 : readFileSync(path, "utf8").split("\n").length - 1;
}

async function openPorts(): Promise<PortsUnderTest> {
  const silent = new Map<string, number>();
  const lane = await openLane(2);
  const apply: Compute["apply"] = (run) => {
    const ports = run.ports.map(({ port }) => port).filter((port) => port !== silent.get(run.uid));
    return lane.compute.apply({ ...run, command: run.ports.length > 0 ? formatServers(ports) : run.command });
  };
  return { ...lane, compute: { ...lane.compute, apply }, silence: (uid, port) => void silent.set(uid, port) };
}

/** Returns a command that answers each POST on these ports with its message. */
function formatServers(ports: readonly number[]): string {
  return `exec python3 -c '
import json, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Echo(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        reply = json.dumps({"reply": body["message"]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

for port in sys.argv[1:]:
    threading.Thread(target=ThreadingHTTPServer(("", int(port)), Echo).serve_forever).start()
' ${ports.join(" ")}`;
}
