import type { Environment } from "#core/environments/record/record.ts";
import type { Fetch, FetchAnswer, FetchRequest } from "#core/ports/fetch.ts";
import type { Item } from "#core/ports/table.ts";
import { type Delivery, parseDelivery } from "#core/webhooks/delivery.ts";
import { formatEventId } from "#core/webhooks/event.ts";
import type { MemoryTable } from "../../fakes/memory-table.ts";
import type { Host, Scheduler } from "../scheduler.ts";

/** Receivers of a schedule, with their requests and the violations of delivery rules. */
export interface FakeReceivers {
  /** Returns the port of a host. A post is in progress from its first call to its second. */
  calledBy(host: Host): Fetch;
  readonly violations: string[];
  /** Returns events that were never delivered. Call it when nothing is due. */
  final(table: MemoryTable, environments: Iterable<Environment>): string[];
}

export const receivers = {
  good: "https://good.example/",
  /** Fails, hangs or disconnects for a while. */
  shaky: "https://shaky.example/",
  gone: "https://gone.example/",
  /** Fails forever. */
  dead: "https://dead.example/",
} as const;

type Kind = keyof typeof receivers;

const LONGEST_MS = 10_000;
const RECOVERS_MS = 180_000;

interface Received {
  readonly body: string;
  posts: number;
  taken: number;
  busyUntil: number;
}

export function fakeReceivers(sim: Scheduler): FakeReceivers {
  const events = new Map<string, Received>();
  const violations: string[] = [];
  const recoversAt = sim.time() + sim.random() * RECOVERS_MS;

  function begin({ headers, body }: FetchRequest, tookMs: number): Received {
    const id = headers["webhook-id"] ?? "";
    const event = events.get(id) ?? { body, posts: 0, taken: 0, busyUntil: 0 };
    if (event.busyUntil > sim.time()) violations.push(`${id} was posted twice at the same time`);
    if (event.body !== body) violations.push(`${id} was posted with other bytes than before`);
    event.posts += 1;
    event.busyUntil = sim.time() + tookMs;
    events.set(id, event);
    return event;
  }

  return {
    violations,
    calledBy: (host) => ({
      authorize: async () => "allowed",
      async post(request) {
        const answer = findAnswer(sim, getKind(request.url), sim.time() >= recoversAt);
        const tookMs = sim.random() * sim.random() * (answer ? LONGEST_MS / 2 : LONGEST_MS);
        let event: Received | undefined;
        try {
          const label = `post ${request.headers["webhook-id"]}`;
          await sim.call(host, label, async () => {
            event = begin(request, tookMs);
            if (answer && answer.status < 300) event.taken += 1;
          });
          await sim.call(host, `answer ${answer?.status ?? "none"}`, async () => undefined, tookMs);
        } finally {
          // A failed caller has closed the connection.
          if (event) event.busyUntil = 0;
        }
        if (!answer) throw new Error("injected: nothing answered");
        return answer;
      },
    }),
    final: (table, environments) => [
      ...violations,
      ...[...environments].flatMap((environment) => unsentEvents(table, environment)),
      ...deliveriesIn(table).flatMap((delivery) =>
        wronglyTold(delivery, events.get(formatEventId(delivery)), sim.time()),
      ),
    ],
  };
}

/** Reports whether the receiver never recovers. Such a delivery retries for a day, which exceeds the schedule. */
export function isHopeless(item: Item): boolean {
  return item.kind === "delivery" && parseDelivery(item).environment.labels.receiver === "dead";
}

function getKind(url: string): Kind {
  return new URL(url).hostname.split(".")[0] as Kind;
}

/** Returns undefined if the receiver hangs or disconnects. */
function findAnswer(sim: Scheduler, kind: Kind, isOver: boolean): FetchAnswer | undefined {
  const ok = { status: 200, retryAfterMs: null };
  if (kind === "gone") return { status: 404, retryAfterMs: null };
  if (kind === "dead") return sim.random() < 0.5 ? { status: 500, retryAfterMs: null } : undefined;
  if (kind === "good" || isOver) return ok;
  return sim.pick([ok, undefined, { status: 500, retryAfterMs: null }, { status: 429, retryAfterMs: 20_000 }]);
}

function deliveriesIn(table: MemoryTable): Delivery[] {
  return table
    .all()
    .filter(({ kind }) => kind === "delivery")
    .map(parseDelivery);
}

/** Checks that each timeline entry of an environment with a receiver has a delivery. */
function unsentEvents(
  table: MemoryTable,
  { uid, id, labels, events: { count: timelineCount } }: Environment,
): string[] {
  if (labels.receiver === undefined) return [];
  const numbers = deliveriesIn(table)
    .filter(({ environment }) => environment.uid === uid)
    .map(({ entry }) => entry.n);
  const all = Array.from({ length: timelineCount }, (_, index) => index + 1);
  return all.filter((n) => !numbers.includes(n)).map((n) => `event ${n} of ${id} was never told`);
}

/** After this many failures, the next attempt is at least half an hour away and exceeds the schedule. */
const FAR_TRIES = 4;

function wronglyTold(delivery: Delivery, received: Received | undefined, now: number): string[] {
  const { state, environment, entry, attemptCount, tries, dueAt = 0 } = delivery;
  const kind = environment.labels.receiver as Kind;
  const name = `event ${entry.n} of ${environment.id} for ${kind}`;
  const ends = { good: "delivered", shaky: "delivered", gone: "given_up", dead: "waiting" } as const;
  const wrong: string[] = [];
  const isFar = state === "waiting" && tries >= FAR_TRIES && dueAt > now;
  if (state !== ends[kind] && !isFar) wrong.push(`${name} is ${state}`);
  if (state === "delivered" && (received?.taken ?? 0) === 0) wrong.push(`${name} was never taken`);
  if ((received?.posts ?? 0) > attemptCount) wrong.push(`${name} was posted more often than was written down`);
  return wrong;
}
