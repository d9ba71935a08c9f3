import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { sharedType } from "#core/fleet.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
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
import { openStageGateway, type StageGateway } from "./stage-gateway.ts";

/** Why this machine cannot open a cluster world, or undefined. */
export const CLUSTER_MISSING =
  UNZIP_MISSING ??
  (existsSync(await binaryPath(process.env)) ? undefined : "npm run test:cluster has built no control plane yet") ??
  (spawnSync("bwrap", ["--version"]).status === 0 ? undefined : "this machine has no bubblewrap, which mounts disks") ??
  (spawnSync("ssh", ["-V"]).status === 0 ? undefined : "this machine has no OpenSSH, with which users enter");

/** A deployed stage with a cluster that its functions may use, and the local server over the same stores. */
export interface ClusterWorld {
  readonly stage: DeployedStage;
  readonly local: Local;
  readonly key: string;
  readonly ask: StageClient;
  /** Sets the local port behind port 8080 of pods that start later. */
  serveSessionsAt(port: number): void;
  /** Starts a gateway over the stage's table and cluster, with the host key that the stage names. */
  openGateway(): Promise<StageGateway>;
  /** Delivers messages to their consumers until the promise settles, and returns its result. */
  delivering<Answer>(doing: Promise<Answer>): Promise<Answer>;
  stop(): Promise<void>;
}

/** Opens a cluster whose commands run as processes of this machine. bubblewrap mounts disks at their paths. */
export async function openClusterWorld(): Promise<ClusterWorld> {
  const hostKey = newSshKey();
  const stage = await openStage(hostKey.public);
  const { eks } = stage.services;
  let sessionPort = 0;
  const cluster = await openClusterFixture(
    [
      { name: "one", instanceType: sharedType.name },
      { name: "two", instanceType: "c7i.8xlarge" },
    ],
    () => ({ process: true, ports: { 8080: sessionPort } }),
    { mountsDisks: true, tokenReviews: eks.tokenReviews },
  );
  eks.open(cluster.cluster.controlPlane.getAccess("nobody"));
  const { TABLE_NAME: deployment = "" } = variablesIn(stage.resources);
  const kubeconfig = join(cluster.cluster.controlPlane.home, "berth.kubeconfig");
  const compute = kubernetesCompute({ ...cluster.options, deployment });
  const { volumes, githubKeys, fetch, log } = await httpWorld();
  const local = await startLocal(stage, { compute, volumes, githubKeys, fetch }, log);
  await stage.runSchedule("schedules/capacity");
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
    openGateway: () => openStageGateway(stage, { hostKey: hostKey.private, kubeconfig }),
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

/** Creates a workspace of the key's user. The answer comes when it runs. */
export async function runningWorkspace(world: ClusterWorld): Promise<{ readonly id: string; readonly path: string }> {
  const { body } = await world.delivering(world.ask("POST", "/v1/cloudrun/workspaces", plainSession));
  expect(body.status).toBe("running");
  return { id: body.id, path: `/v1/cloudrun/workspaces/${body.id}` };
}
