import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { expect } from "vitest";
import { sharedType } from "#core/fleet.ts";
import { kubernetesCompute } from "#kubernetes/compute.ts";
import { openClusterFixture } from "#kubernetes/fixtures/cluster-fixture.ts";
import { binaryPath } from "../cluster/binary.ts";
import { plainSession } from "../fixtures/catalog-requests.ts";
import { httpWorld } from "../worlds/http-world.ts";
import { UNZIP_MISSING } from "./deployed.ts";
import { type DeployedStage, openStage } from "./deployed-stage.ts";
import { type Local, startLocal } from "./local.ts";
import { variablesIn } from "./runtime/services.ts";
import { createClient, logIn, type StageClient } from "./stage-client.ts";

/** Says why this machine has no such world. */
export const CLUSTER_MISSING =
  UNZIP_MISSING ??
  (existsSync(await binaryPath(process.env)) ? undefined : "npm run test:cluster has built no control plane yet") ??
  (spawnSync("bwrap", ["--version"]).status === 0 ? undefined : "this machine has no bubblewrap, which mounts disks");

/** A stage, the cluster into which the access entries of its roles let the zips, and the local server over both. */
export interface ClusterWorld {
  readonly stage: DeployedStage;
  readonly local: Local;
  readonly key: string;
  readonly ask: StageClient;
  /** Where port 8080 of every pod that starts from now on is on this machine. */
  serveSessionsAt(port: number): void;
  /** Hands messages to their consumers until this is over, and passes its answer on. */
  delivering<Answer>(doing: Promise<Answer>): Promise<Answer>;
  stop(): Promise<void>;
}

/** Commands of pods are processes of this machine, which find disks at their paths by bubblewrap. */
export async function openClusterWorld(): Promise<ClusterWorld> {
  const stage = await openStage();
  const { eks } = stage.services;
  let sessionPort = 0;
  const cluster = await openClusterFixture(
    [{ name: "one", instanceType: sharedType.name }],
    () => ({ process: true, ports: { 8080: sessionPort } }),
    { mountsDisks: true, tokenReviews: eks.tokenReviews },
  );
  eks.open(cluster.cluster.controlPlane.getAccess("nobody"));
  const { TABLE_NAME: deployment = "" } = variablesIn(stage.resources);
  const compute = kubernetesCompute({ ...cluster.options, deployment });
  const { volumes, githubKeys, fetch, log } = await httpWorld();
  const local = await startLocal(stage, { compute, volumes, githubKeys, fetch }, log);
  await stage.runSchedule("schedules/capacity");
  // It follows the cluster for minutes, and ends with the stage.
  const watch = stage.runSchedule("schedules/watch");
  const key = await logIn(stage);
  return {
    stage,
    local,
    key,
    ask: createClient(stage, key),
    serveSessionsAt(port) {
      sessionPort = port;
    },
    async delivering(doing) {
      let isOver = false;
      const over = doing.finally(() => {
        isOver = true;
      });
      await expect.poll(async () => [await stage.deliver(), isOver][1], { interval: 20 }).toBe(true);
      return over;
    },
    async stop() {
      await local.stop();
      await stage.stop();
      await watch;
      await cluster.stop();
    },
  };
}

/** Makes a workspace of the key's user that runs: a create answers once it does. */
export async function runningWorkspace(world: ClusterWorld): Promise<{ readonly id: string; readonly path: string }> {
  const { body } = await world.delivering(world.ask("POST", "/v1/cloudrun/workspaces", plainSession));
  expect(body.status).toBe("running");
  return { id: body.id, path: `/v1/cloudrun/workspaces/${body.id}` };
}
