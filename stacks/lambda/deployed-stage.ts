import type { Resource } from "../synthesis/synthesize.ts";
import { type DeployedFunctions, deployFunctions } from "./deployed.ts";
import type { OriginAnswer, ViewerRequest } from "./edge.ts";
import { type Delivered, eventSources } from "./event-sources.ts";
import { gatewayOf } from "./gateway.ts";
import { type Services, startServices } from "./services.ts";
import { functions, synthesizeStage } from "./stage.ts";

/** A whole stage: the zips, what brings them their events, and what they find of AWS. */
export interface DeployedStage {
  readonly resources: readonly Resource[];
  readonly services: Services;
  readonly deployed: DeployedFunctions;
  /** As a client asks, through the edge. */
  request(request: ViewerRequest): Promise<OriginAnswer>;
  /** Hands what waits in the queues to their consumers, and what comes of it, until nothing waits. */
  deliver(): Promise<Delivered[]>;
  stop(): Promise<void>;
}

export async function openStage(): Promise<DeployedStage> {
  const resources = await synthesizeStage();
  const services = await startServices(resources);
  const deployed = await deployFunctions(resources, functions, services.variables);
  return {
    resources,
    services,
    deployed,
    request: gatewayOf(resources, deployed),
    deliver: eventSources(resources, deployed, services),
    async stop() {
      await deployed.stop();
      await services.stop();
    },
  };
}
