import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { MachineState, NodeRef, Run } from "#core/ports/compute.ts";
import { must } from "#tests/cluster/objects.ts";
import { kubernetesCompute } from "../compute.ts";
import { namespace } from "../fixtures/cluster-fixture.ts";
import { getPods, openToolsFixture, type ToolsFixture } from "../fixtures/tools-fixture.ts";

const names = ["one", "two", "three", "four"];
const shares = names.map((node) => ({ node, units: 8 }));
const whole: Partial<Run> = { shares, gpusPerMachine: 8 };
let fixture: ToolsFixture;

beforeAll(async () => {
  fixture = await openToolsFixture({ names });
});

afterEach(() => fixture.clear());
afterAll(() => fixture.stop());

const newFile = () => join(fixture.files, randomBytes(4).toString("hex"));
const readLines = (file: string) => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").toSorted() : []);

/** Starts the command on all machines. */
async function begun(changes: Partial<Run>): Promise<Run> {
  const run = await fixture.applied({ ...whole, ...changes });
  await fixture.until(run, (seen) => seen?.waitsToBegin === true);
  await fixture.compute.begin(run.uid, 1);
  await fixture.ready(run);
  return run;
}

describe("a run of four machines", () => {
  it("tells each its rank and the addresses of all, which its Service publishes", async () => {
    const file = newFile();
    const command = `echo "$NODE_RANK of $NNODES, $WORLD_SIZE at $MASTER_ADDR, $BERTH_HOSTFILE" >>${file}; sleep 3600`;

    const run = await begun({ command });
    const lines = await fixture.eventually(
      async () => readLines(file),
      ({ length }) => length === 4,
    );

    const service = `run-${run.uid}-r1`;
    const address = (machine: number) => `machine-${machine}.${service}`;
    const told = [0, 1, 2, 3].map((rank) => `${rank} of 4, 32 at ${address(0)}, /etc/berth/hostfile`);
    expect(lines).toEqual(told);
    const hostfile = [0, 1, 2, 3].map((machine) => `${address(machine)} slots=8\n`).join("");
    const { items } = must(await fixture.cluster.admin.get<{ items: PodSeen[] }>(getPods(run)));
    expect(items.map(({ metadata }) => metadata.annotations["berth/hostfile"])).toEqual(names.map(() => hostfile));
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const selector = `labelSelector=kubernetes.io/service-name=${service}`;
    const hosts = await fixture.eventually(
      async () =>
        must(await fixture.cluster.admin.get<{ items: Slice[] }>(`${path}?${selector}`)).items.flatMap(listHosts),
      ({ length }) => length === 4,
    );
    expect(hosts.toSorted()).toEqual(["machine-0", "machine-1", "machine-2", "machine-3"]);
  });

  it("starts on no machine before the last one is ready", async () => {
    const file = newFile();
    // The last machine's pod has no room while this one exists.
    const other = await fixture.applied({ shares: shares.slice(3), gpusPerMachine: 8, command: undefined });
    await fixture.ready(other);

    const run = await fixture.applied({ ...whole, command: `echo "$NODE_RANK" >>${file}; sleep 3600` });
    await fixture.until(run, (seen) => seen?.nodes.length === 3);
    await fixture.compute.begin(run.uid, 1);
    expect(await fixture.compute.observe(run.uid, 1)).toMatchObject({ started: false, state: "unbound" });
    expect(existsSync(file)).toBe(false);

    await fixture.compute.remove(other.uid, 1, { graceSeconds: 0, force: false });
    await fixture.until(run, (seen) => seen?.waitsToBegin === true);
    await fixture.compute.begin(run.uid, 1);
    const ranks = await fixture.eventually(
      async () => readLines(file),
      ({ length }) => length === 4,
    );

    expect(ranks).toEqual(["0", "1", "2", "3"]);
  });

  it("tells the other machines by SIGTERM that the command of one failed", async () => {
    const file = newFile();
    const others = `trap 'echo "$NODE_RANK" >>${file}; exit 0' TERM; while :; do sleep 0.05; done`;

    const run = await begun({ command: `if [ "$NODE_RANK" = 2 ]; then sleep 1; exit 7; fi; ${others}` });
    const ended = await fixture.ended(run);
    await fixture.compute.remove(run.uid, 1, { graceSeconds: 10, force: false });
    await fixture.until(run, (seen) => seen === undefined);

    expect(ended).toMatchObject({ exitCode: 7, started: true });
    expect(readLines(file)).toEqual(["0", "1", "3"]);
  });

  // Last, because the node does not come back.
  it("tells the other machines by SIGTERM that one is lost", async () => {
    const file = newFile();
    const command = `trap 'echo "$NODE_RANK" >>${file}; exit 0' TERM; while :; do sleep 0.05; done`;
    const run = await begun({ command });
    const getMachineState = async ({ name }: NodeRef): Promise<MachineState> => (name === "four" ? "gone" : "running");
    const compute = kubernetesCompute({ ...fixture.options, getMachineState });

    fixture.pretendNodes[3]?.lose();
    await fixture.until(run, (seen) => seen?.nodes[3]?.silent === "notReady");
    const before = readLines(file);
    await compute.remove(run.uid, 1, { graceSeconds: 10, force: false });
    const told = await fixture.eventually(
      async () => readLines(file),
      ({ length }) => length === 3,
    );
    await compute.remove(run.uid, 1, { graceSeconds: 10, force: true });
    await fixture.until(run, (seen) => seen === undefined);

    expect(before).toEqual([]);
    expect(told).toEqual(["0", "1", "2"]);
  });
});

interface PodSeen {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
}

interface Slice {
  readonly endpoints: readonly { readonly hostname?: string }[] | null;
}

function listHosts({ endpoints }: Slice): string[] {
  return (endpoints ?? []).flatMap(({ hostname }) => hostname ?? []);
}
