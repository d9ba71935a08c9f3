import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Observation, Run, RunPort } from "#core/ports/compute.ts";
import type { ComputeUnderTest } from "./compute.ts";

/** Compute whose runs without a command answer on their HTTP ports and echo posts to `/chat`. */
export interface PortsUnderTest extends ComputeUnderTest {
  /** Lets no run of this uid answer on this port of kind `tcp`. */
  silence(uid: string, port: number): void;
}

const uid = randomBytes(16).toString("hex");
const http = (port: number): RunPort => ({ port, kind: "http" });
const chat = { path: "/chat", body: JSON.stringify({ message: 'a "quoted" 🚀' }), timeoutMs: 4_000 };

/** Conformance tests for the ports and the resources of a run. */
export function portsConformance(open: () => Promise<PortsUnderTest>): void {
  let test: PortsUnderTest;

  beforeEach(async () => {
    test = await open();
  });
  afterEach(async () => {
    await test.close();
  });

  const getRun = (ports: readonly RunPort[]): Run => ({
    uid,
    run: 1,
    key: "k|1",
    name: "n",
    pool: "cpu-shared",
    instanceType: "m7i.8xlarge",
    image: "node:24",
    command: undefined,
    env: {},
    shares: [{ node: test.nodes[0]?.name ?? "", units: 1 }],
    gpusPerMachine: 0,
    mounts: [],
    ports,
    resources: { cpus: 1, memoryMb: 1_024 },
    until: test.now() + 3_600_000,
  });
  const observe = () => test.compute.observe(uid, 1);
  const seen = async (holds: (observation: Observation | undefined) => boolean) => {
    for (let tries = 0; tries < 6_000; tries += 1) {
      const observation = await observe();
      if (holds(observation)) return observation;
      await test.pass(20);
    }
    throw new Error(`The condition did not become true: ${holds}`);
  };
  const ready = () => seen((observation) => observation?.state === "ready");
  const removed = async () => {
    await test.compute.remove(uid, 1, { graceSeconds: 0, force: true });
    await seen((observation) => observation === undefined);
  };

  describe("ports", () => {
    it("can all be reached at their addresses once the run is ready", async () => {
      await test.compute.apply(getRun([http(8080), http(8888)]));

      const observation = await ready();

      const [portStatus, two] = observation?.ports ?? [];
      expect([portStatus, two]).toMatchObject([
        { port: 8080, kind: "http", answers: true },
        { port: 8888, kind: "http", answers: true },
      ]);
      expect([portStatus?.address, two?.address]).toEqual(
        [1, 2].map(() => expect.stringMatching(/^\d+(\.\d+){3}:\d+$/)),
      );
    });

    it("delay readiness while one of them does not answer", async () => {
      test.silence(uid, 5432);
      await test.compute.apply(getRun([http(8080), { port: 5432, kind: "tcp" }]));
      await seen((observation) => observation?.state === "probe");

      await test.pass(600);

      const observation = await observe();
      expect(observation).toMatchObject({ state: "probe", started: true });
      expect(observation?.ports.find(({ port }) => port === 5432)).toMatchObject({ kind: "tcp", answers: false });
    });

    it("return the answer to a post", async () => {
      await test.compute.apply(getRun([http(8080)]));
      await ready();

      const answer = await test.compute.postToPort(uid, 1, { port: 8080, ...chat });

      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toEqual({ reply: 'a "quoted" 🚀' });
    });

    it("refuse a post without such a port or run", async () => {
      const post = (port: number) => test.compute.postToPort(uid, 1, { port, ...chat });
      const unknown = post(8080);
      await expect(unknown).rejects.toMatchObject({ name: "RunGone" });
      await test.compute.apply(getRun([http(8080)]));
      await ready();

      await expect(post(22)).rejects.toThrow("Nothing listens on port 22");
      await removed();

      await expect(post(8080)).rejects.toMatchObject({ name: "RunGone" });
    });
  });

  describe("resources", () => {
    it("can be changed while the run continues, which has no effect without a run", async () => {
      const more = { cpus: 2, memoryMb: 4_096 };
      await test.compute.resize(uid, 1, more, 1);
      await test.compute.apply(getRun([]));
      await ready();

      await test.compute.resize(uid, 1, more, 1);
      const observation = await observe();
      await removed();
      await test.compute.resize(uid, 1, more, 1);

      expect(observation).toMatchObject({
        state: "ready",
        limits: expect.stringMatching(/^(cgroup-v[12] \(.+\)|container \(.+\)|rlimit \(.+\)|none|memory)$/),
      });
      expect(await test.compute.listRuns()).toEqual([]);
    });
  });
}
