import type { InstanceClient } from "./instance-client.ts";

/** What a stack answered about instances. It may lose none of that, and of what it did not answer it may do either. */
export interface InstanceAnswers {
  create(client: InstanceClient, name: string): Promise<string>;
  start(client: InstanceClient, id: string): Promise<void>;
  stop(client: InstanceClient, id: string): Promise<void>;
  /** Stops all that are not known to be stopped. */
  stopAll(client: InstanceClient): Promise<void>;
  count(): Readonly<Record<InstanceKind, number>>;
  /** How often each one was asked to run, answered or not, by its id. */
  starts(): ReadonlyMap<string, number>;
  /** In words, what is not as it was answered, or was done once more. */
  lost(client: InstanceClient, withinMs?: number): Promise<string[]>;
}

export type InstanceKind = "made" | "started" | "stopped";

type Change = "start" | "stop";

interface Answered {
  /** One of these is what was last asked for. */
  readonly newest: readonly Change[];
  /** Of the newest that was answered; undefined after a create, and while one is not answered. */
  readonly operation: string | undefined;
  readonly starts: number;
}

const statusAfter = { start: "ready", stop: "stopped" } as const satisfies Record<Change, string>;
const settled = ["ready", "stopped", "failed", "terminated"];

export function noteInstanceAnswers(): InstanceAnswers {
  const instances = new Map<string, Answered>();
  const counts = { made: 0, started: 0, stopped: 0 };
  const ask = async (client: InstanceClient, id: string, change: Change) => {
    const before = instances.get(id) as Answered;
    const starts = before.starts + (change === "start" ? 1 : 0);
    instances.set(id, { newest: [...before.newest, change], operation: undefined, starts });
    const operation = await client[change](id);
    instances.set(id, { newest: [change], operation, starts });
  };
  const stop = (client: InstanceClient, id: string) => ask(client, id, "stop");
  return {
    count: () => ({ ...counts }),
    starts: () => new Map([...instances].map(([id, { starts }]) => [id, starts])),
    async create(client, name) {
      const id = await client.create(name);
      instances.set(id, { newest: ["start"], operation: undefined, starts: 1 });
      counts.made += 1;
      return id;
    },
    async start(client, id) {
      await ask(client, id, "start");
      counts.started += 1;
    },
    async stop(client, id) {
      await stop(client, id);
      counts.stopped += 1;
    },
    async stopAll(client) {
      const running = [...instances].filter(([, { newest }]) => newest.includes("start"));
      await Promise.all(running.map(([id]) => stop(client, id)));
    },
    async lost(client, withinMs) {
      const found = [...instances].map(([id, answered]) => getLost(client, id, answered, withinMs));
      return (await Promise.all(found)).flat();
    },
  };
}

async function getLost(client: InstanceClient, id: string, answered: Answered, withinMs?: number): Promise<string[]> {
  const { newest, operation } = answered;
  const instance = await client.until(id, settled, withinMs);
  if (!instance) return [`${id} is gone`];
  const { status, statusReason } = instance;
  const expected = [...new Set(newest.map((change) => statusAfter[change]))];
  if (!expected.some((each) => each === status)) {
    return [`${id} is ${status} (${statusReason}), not ${expected.join(" or ")}`];
  }
  const [change, ...others] = newest;
  if (!change || others.length > 0 || operation === undefined) return [];
  // The same start, or stop, has the same id however often it is asked for; one that was done once more has another.
  const again = await client[change](id);
  return again === operation ? [] : [`${id} has another ${change} than was answered`];
}
