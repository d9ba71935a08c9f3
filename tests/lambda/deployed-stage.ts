import type { Resource } from "../synthesis/synthesize.ts";
import { type DeployedFunctions, deployFunctions } from "./deployed.ts";
import type { OriginAnswer, ViewerRequest } from "./edge.ts";
import { type Delivered, eventSources } from "./runtime/event-sources.ts";
import { scheduleEvent } from "./runtime/events.ts";
import { createGateway } from "./runtime/gateway.ts";
import type { Answered } from "./runtime/runtime-api.ts";
import { type Services, startServices } from "./runtime/services.ts";
import { type ClientSocket, createSocketGateway } from "./runtime/socket-client.ts";
import { functions, synthesizeStage } from "./stage.ts";

/** A stage of zips with their event sources and AWS services. */
export interface DeployedStage {
  readonly resources: readonly Resource[];
  readonly services: Services;
  readonly deployed: DeployedFunctions;
  request(request: ViewerRequest): Promise<OriginAnswer>;
  connect(request: ViewerRequest): Promise<ClientSocket | OriginAnswer>;
  /** Invokes the function of a schedule, by its name in functions.json. */
  runSchedule(name: string): Promise<Answered>;
  /** Delivers queued messages to their consumers, and the messages that these send, until the queues are empty. */
  deliver(): Promise<Delivered[]>;
  stop(): Promise<void>;
}

export async function openStage(sshHostKeys?: string): Promise<DeployedStage> {
  const resources = await synthesizeStage(sshHostKeys);
  const services = await startServices(resources);
  const deployed = await deployFunctions(resources, functions, services.variables);
  return {
    resources,
    services,
    deployed,
    request: createGateway(resources, deployed),
    connect: createSocketGateway(resources, deployed, services),
    runSchedule: scheduleRunner(resources, deployed),
    deliver: eventSources(resources, deployed, services),
    async stop() {
      await deployed.stop();
      await services.stop();
    },
  };
}

function scheduleRunner(resources: readonly Resource[], deployed: DeployedFunctions): DeployedStage["runSchedule"] {
  const targets = resources
    .filter(({ type }) => type === "aws:scheduler/schedule:Schedule")
    .map(({ inputs }) => inputs.target as { readonly arn: string; readonly input: string });
  return async (name) => {
    const target = targets.find(({ arn }) => deployed.entryOf(arn).name === name);
    if (!target) throw new Error(`Nothing calls ${name}`);
    return deployed.named(target.arn).invoke(scheduleEvent(target.input));
  };
}
