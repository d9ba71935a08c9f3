import { capitalize, type FunctionsFile, type QueueName } from "../compute/functions-file.ts";

export type Queues = Readonly<Record<QueueName, sst.aws.Queue>>;

export interface MadeQueues {
  readonly queues: Queues;
  readonly deadLetterQueues: Queues;
}

const fifo: Readonly<Record<QueueName, boolean>> = { work: false, pools: true, webhooks: false, shell: true };

/** Receives before a message moves to the dead-letter queue, because it may crash its consumer every time. */
const MOST_RECEIVES = 5;
const DAY_SECONDS = 86_400;
const TWO_WEEKS_SECONDS = 14 * DAY_SECONDS;
/** AWS recommends six times the timeout (Lambda Developer Guide, "Using Lambda with Amazon SQS"). */
const TIMES_THE_TIMEOUT = 6;
/** Time between the receive of a message and the start of its function. */
const FIFO_MARGIN_SECONDS = 15;

/** API Gateway ends a connection after two hours ("API Gateway quotas"). Its last command may take a quarter more. */
const CONNECTION_SECONDS = 3 * 3600;

/**
 * Creates the queues, each with a dead-letter queue that keeps messages for two weeks. Messages of the web shell are
 * commands: they are encrypted with the sealer's key and kept for a day at most.
 */
export function makeQueues(functions: FunctionsFile, key: aws.kms.Key): MadeQueues {
  const make = (name: QueueName) => makeQueue(name, functions, key);
  const [work, pools, webhooks, shell] = [make("work"), make("pools"), make("webhooks"), make("shell")];
  return {
    queues: { work: work.queue, pools: pools.queue, webhooks: webhooks.queue, shell: shell.queue },
    deadLetterQueues: { work: work.dead, pools: pools.dead, webhooks: webhooks.dead, shell: shell.dead },
  };
}

function makeQueue(
  name: QueueName,
  functions: FunctionsFile,
  key: aws.kms.Key,
): Record<"queue" | "dead", sst.aws.Queue> {
  const sealed = { kmsMasterKeyId: key.arn };
  const dead = new sst.aws.Queue(`${capitalize(name)}Dead`, {
    fifo: fifo[name],
    transform: {
      queue:
        name === "shell"
          ? { ...sealed, messageRetentionSeconds: DAY_SECONDS }
          : { messageRetentionSeconds: TWO_WEEKS_SECONDS },
    },
  });
  const queue = new sst.aws.Queue(capitalize(name), {
    fifo: fifo[name],
    ...(name === "shell" && { transform: { queue: { ...perConnection, ...sealed } } }),
    visibilityTimeout: `${visibilitySeconds(name, functions)} seconds`,
    dlq: { queue: dead.arn, retry: MOST_RECEIVES },
  });
  return { queue, dead };
}

/** Isolates the throughput of each connection, and keeps its commands for hours instead of days. */
const perConnection = {
  deduplicationScope: "messageGroup",
  fifoThroughputLimit: "perMessageGroupId",
  messageRetentionSeconds: CONNECTION_SECONDS,
};

/**
 * Returns the visibility timeout. A FIFO group is blocked that long after a retry or a crash, so for those it is just
 * above the function's timeout, its minimum.
 */
function visibilitySeconds(name: QueueName, functions: FunctionsFile): number {
  const receiver = functions.find((entry) =>
    entry.kind === "consumer" ? entry.queue === name : entry.kind === "socket" && name === "shell",
  );
  if (!receiver) throw new Error(`No function receives from the queue ${name}`);
  const { timeoutSeconds } = receiver;
  return fifo[name] ? timeoutSeconds + FIFO_MARGIN_SECONDS : TIMES_THE_TIMEOUT * timeoutSeconds;
}
