import { table } from "#aws/dynamodb/table.ts";
import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { deliver } from "#core/webhooks/deliver.ts";
import type { BodyOf } from "#core/webhooks/event.ts";
import { type DialectName, isDialectName } from "#http/dialect.ts";
import { eachRequest, webhooks } from "#http/work.ts";
import { consumerLambda } from "#lambda/lambda.ts";
import { toJobEvent } from "../gpu-dev/webhooks/schemas.ts";
import { toInstanceEvent } from "../novita/instances/internal/webhook.ts";
import { toEnvironmentEvent } from "./internal/environment-event.ts";

const bodies: Readonly<Record<DialectName, BodyOf>> = {
  "gpu-dev": toJobEvent,
  novita: toInstanceEvent,
  "session-manager": toEnvironmentEvent,
  onmemos: toEnvironmentEvent,
  dev8: toEnvironmentEvent,
};

function getBody(createdBy: string): BodyOf {
  return isDialectName(createdBy) ? bodies[createdBy] : toEnvironmentEvent;
}

export const consumer = webhooks.consume(
  { uses: ["table", "queue", "sealer", "fetch"], timeoutSeconds: 30, memoryMb: 512 },
  eachRequest((ctx, message) => deliver(ctx, message, (event) => getBody(event.environment.createdBy)(event))),
);

export const handler = consumerLambda(consumer, { table, queue, sealer, fetch });
