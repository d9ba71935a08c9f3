import { createServer } from "node:net";
import type { Observation, Run } from "#core/ports/compute.ts";
import { toolsPath } from "#testing/cluster/tools-binaries.ts";
import { logText } from "#testing/log-text.ts";
import { type ClusterFixture, fixtureRun, openClusterFixture } from "./cluster-fixture.ts";

/** Two machines on which every run has the supervisor of images/tools. */
export interface ToolsFixture extends ClusterFixture {
  applied(changes: Partial<Run>): Promise<Run>;
  until(run: Run, holds: (seen: Observation | undefined) => boolean): Promise<Observation | undefined>;
  ready(run: Run): Promise<Observation | undefined>;
  ended(run: Run): Promise<Observation | undefined>;
  log(run: Run): Promise<string>;
}

export async function openToolsFixture(options: { readonly snapshots?: boolean } = {}): Promise<ToolsFixture> {
  const nodes = ["one", "two"].map((name) => ({ name, instanceType: "p5.48xlarge" }));
  const fixture = await openClusterFixture(nodes, undefined, { ...options, tools: await toolsPath(process.env) });
  const until: ToolsFixture["until"] = ({ uid }, holds) =>
    fixture.eventually(() => fixture.compute.observe(uid, 1), holds);
  return {
    ...fixture,
    async applied(changes) {
      const run = fixtureRun(changes);
      await fixture.compute.apply(run);
      return run;
    },
    until,
    ready: (run) => until(run, (seen) => seen?.state === "ready"),
    ended: (run) => until(run, (seen) => seen?.state === "ended"),
    log: ({ uid }) => logText(fixture.compute.readLog(uid, 1)),
  };
}

/** A port of this machine, which a process in a container of the fixture has too. */
export async function listening(): Promise<{ readonly port: number; close(): Promise<unknown> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { port, close: () => new Promise((resolve) => server.close(resolve)) };
}

export const podsOf = ({ uid }: Run): string =>
  `/api/v1/namespaces/berth-environments/pods?labelSelector=berth/uid=${uid}`;
