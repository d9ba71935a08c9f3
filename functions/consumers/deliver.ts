import { table } from "#aws/dynamodb/table.ts";
import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { deliver } from "#core/webhooks/deliver.ts";
import type { DeliveryEvent, FormatBody } from "#core/webhooks/event.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { type DialectName, isDialectName } from "#http/dialect.ts";
import { eachRequest, webhooks } from "#http/work.ts";
import { consumerLambda } from "#lambda/lambda.ts";
import { toJobEvent } from "../gpu-dev/webhooks/schemas.ts";
import { toInstanceEvent } from "../novita/instances/internal/webhook.ts";

const bodies: Readonly<Record<DialectName, FormatBody>> = {
  "gpu-dev": toJobEvent,
  novita: toInstanceEvent,
  "session-manager": toEnvironmentEvent,
  onmemos: toEnvironmentEvent,
  dev8: toEnvironmentEvent,
};

function getBody(createdBy: string): FormatBody {
  return isDialectName(createdBy) ? bodies[createdBy] : toEnvironmentEvent;
}

export const consumer = webhooks.consume(
  { uses: ["table", "queue", "sealer", "fetch"], timeoutSeconds: 30, memoryMb: 512 },
  eachRequest((ctx, message) => deliver(ctx, message, (event) => getBody(event.environment.createdBy)(event))),
);

export const handler = consumerLambda(consumer, { table, queue, sealer, fetch });

function toEnvironmentEvent({ id, entry, environment, username }: DeliveryEvent): object {
  return {
    event_id: id,
    environment_id: environment.id,
    user_id: username,
    name: environment.name,
    phase: entry.phase,
    step: entry.step,
    timestamp: milliseconds(entry.at),
    sequence: entry.n,
    reason: entry.reason,
  };
}
