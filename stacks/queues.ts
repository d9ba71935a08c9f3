import type { ConsumerEntry, FunctionsFile } from "./functions-file.ts";

/** The name of a queue in functions.json, and the web shell's. */
export type QueueName = ConsumerEntry["queue"] | "shell";

export type Queues = Readonly<Record<QueueName, sst.aws.Queue>>;

const fifo: Readonly<Record<QueueName, boolean>> = { work: false, pools: true, webhooks: false, shell: true };

/** A message is given up after so many receives: what ends its process each time would do so for ever. */
const MOST_RECEIVES = 5;
const TWO_WEEKS_SECONDS = 14 * 86_400;
/** As long as a consumer may run, at most: AWS asks for six times its timeout (Lambda Developer Guide, "Using Lambda with Amazon SQS"). */
const TIMES_THE_TIMEOUT = 6;
/** One command of the web shell runs so long. */
const SHELL_SECONDS = 900;

/** The queues, each with one for what could not be dealt with, kept for two weeks. */
export function makeQueues(functions: FunctionsFile): Queues {
  return {
    work: makeQueue("work", functions),
    pools: makeQueue("pools", functions),
    webhooks: makeQueue("webhooks", functions),
    shell: makeQueue("shell", functions),
  };
}

function makeQueue(name: QueueName, functions: FunctionsFile): sst.aws.Queue {
  const logicalName = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  const dead = new sst.aws.Queue(`${logicalName}Dead`, {
    fifo: fifo[name],
    transform: { queue: { messageRetentionSeconds: TWO_WEEKS_SECONDS } },
  });
  return new sst.aws.Queue(logicalName, {
    fifo: fifo[name],
    visibilityTimeout: `${visibilitySeconds(name, functions)} seconds`,
    dlq: { queue: dead.arn, retry: MOST_RECEIVES },
  });
}

/** A dead consumer holds back the group of a FIFO queue for that long. */
export function visibilitySeconds(name: QueueName, functions: FunctionsFile): number {
  const consumer = functions.find((entry) => entry.kind === "consumer" && entry.queue === name);
  return TIMES_THE_TIMEOUT * (consumer?.timeoutSeconds ?? SHELL_SECONDS);
}
