import { setTimeout as sleep } from "node:timers/promises";
import { readSettings } from "#aws/settings/settings.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import { type Catalog, loadCatalog } from "#http/catalog.ts";
import { catalogWorld } from "../fixtures/catalog-requests.ts";
import type { HttpWorld } from "../worlds/http-world.ts";
import { newNodes } from "../worlds/memory-world.ts";
import type { DeployedFunctions } from "./deployed.ts";
import { openStage } from "./deployed-stage.ts";
import type { OriginAnswer, ViewerRequest } from "./edge.ts";
import { startLocal } from "./local.ts";
import { queueNames, variablesIn } from "./runtime/services.ts";

/** Two ways to the same stores: the local server, and the edge with the zips. */
export interface ContractWorld {
  readonly catalog: Catalog;
  /** Creates things in the same stores and runs them in memory. */
  readonly world: HttpWorld;
  readonly deployed: DeployedFunctions;
  local(request: ViewerRequest): Promise<OriginAnswer>;
  zips(request: ViewerRequest): Promise<OriginAnswer>;
  /** Runs the workers until the promise settles. */
  working<Answer>(doing: Promise<Answer>): Promise<Answer>;
  stop(): Promise<void>;
}

const PAUSE_MS = 10;

export async function openContractWorld(): Promise<ContractWorld> {
  const stage = await openStage();
  const { resources, services, deployed } = stage;
  const { table, sealer, blobs } = services.ports;
  const settings = readSettings(variablesIn(resources));
  const nodes = newNodes({ h100: 2, "cpu-x86": 60, "cpu-shared": 60 });
  const wrap = <Ports extends object>(ports: Ports): Ports => ({ ...ports, sealer });
  const world = await catalogWorld({ table, nodes, settings, wrap, startAt: Date.now() });
  Object.assign(world.ctx, { sealer });
  // The memory volumes keep a reference to this object.
  Object.assign(world.blobs, blobs);
  const catalog = await loadCatalog();
  const { compute, volumes, githubKeys, fetch } = world;
  const server = await startLocal(stage, { compute, volumes, githubKeys, fetch }, world.log);

  async function work(): Promise<void> {
    for (const name of queueNames) {
      const messages = await services.receive(name, 10);
      for (const message of messages.map(({ body }) => JSON.parse(body) as ReconcileRequest)) {
        await world.queue.send(name, message, name === "pools" ? { group: message.look } : {});
      }
      await services.remove(name, messages);
    }
    await world.advance(Math.max(0, Date.now() - world.clock.now()));
  }

  return {
    catalog,
    world,
    deployed,
    local: server.ask,
    zips: stage.request,
    async working(doing) {
      let isDone = false;
      const done = doing.finally(() => {
        isDone = true;
      });
      done.catch(() => undefined);
      while (!isDone) {
        await work();
        await Promise.race([done.catch(() => undefined), sleep(PAUSE_MS)]);
      }
      await work();
      return done;
    },
    async stop() {
      await server.stop();
      await stage.stop();
    },
  };
}
