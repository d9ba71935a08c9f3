import type { InstanceClient } from "./instance-client.ts";

/** Answers of a stack about instances. No answered change may be lost; an unanswered one may be done or not. */
export interface InstanceAnswers {
  create(client: InstanceClient, name: string): Promise<string>;
  start(client: InstanceClient, id: string): Promise<void>;
  stop(client: InstanceClient, id: string): Promise<void>;
  /** Stops all instances that are not known to be stopped. */
  stopAll(client: InstanceClient): Promise<void>;
  count(): Readonly<Record<InstanceKind, number>>;
  /** Returns the number of start requests of each instance by id, answered or not. */
  starts(): ReadonlyMap<string, number>;
  /** Returns in words each difference from the answers, and each change that was done twice. */
  lost(client: InstanceClient, withinMs?: number): Promise<string[]>;
}

export type InstanceKind = "made" | "started" | "stopped";

type Change = "start" | "stop";

interface Answered {
  /** Possible last changes. */
  readonly newest: readonly Change[];
  /** Operation of the newest answered change; undefined after a create, and while a change is unanswered. */
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
  // A repeated start or stop has the same id, unless it was done again.
  const again = await client[change](id);
  return again === operation ? [] : [`${id} has another ${change} than was answered`];
}
