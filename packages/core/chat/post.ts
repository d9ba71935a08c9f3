import type { Context, UserContext } from "../context.ts";
import { getEnvironment } from "../environments/record/read.ts";
import type { Environment } from "../environments/record/record.ts";
import { requestStart } from "../environments/verbs/start.ts";
import { Problem } from "../problem.ts";
import { chatKey } from "../store/keys.ts";
import { writeRecord } from "../store/write-record.ts";
import { changeInbox, findInbox, newestNumber, stillWaits } from "./inbox.ts";
import { type Message, sealPart } from "./record.ts";

export interface Posted {
  readonly uid: string;
  readonly n: number;
}

/**
 * Stores a message and wakes a stopped environment. Delivery is at least once and in order, unless the message is
 * dropped. Throws `notFound`, or `conflict` if no port takes messages.
 */
export async function postMessage(
  ctx: UserContext<"table" | "queue" | "sealer">,
  id: string,
  text: string,
): Promise<Posted> {
  const environment = await getEnvironment(ctx, id);
  if (environment.end.outcome) throw new Problem("notFound", `The ${ctx.noun} ${id} no longer takes messages`);
  if (findChatPort(environment) === undefined) throw new Problem("conflict", `The ${ctx.noun} ${id} takes no messages`);
  const n = await putMessage(ctx, environment, text);
  await changeInbox(ctx, environment, (inbox) => inbox);
  if (environment.goal.desired === "stopped") {
    await wake(ctx, environment, n);
    // A reconcile of the inbox in between found the environment asleep and would return only in minutes.
    await changeInbox(ctx, environment, (inbox) => inbox);
  }
  return { uid: environment.uid, n };
}

async function wake(
  ctx: UserContext<"table" | "queue" | "sealer">,
  { id, uid }: Environment,
  n: number,
): Promise<void> {
  try {
    await requestStart(
      ctx,
      id,
      {},
      { onlyIf: (knownEnvironment) => knownEnvironment.uid === uid && stillWaits(ctx, knownEnvironment, n) },
    );
  } catch (error) {
    if (!(error instanceof Problem && error.kind === "quota")) throw error;
  }
}

const TRIES = 20;

/** Writes the message under the first free number, so that numbers have no gaps. */
async function putMessage(
  ctx: Context<"table" | "sealer">,
  { uid, run: { n: run } }: Environment,
  said: string,
): Promise<number> {
  const newest = await newestNumber(ctx, uid, await findInbox(ctx, uid));
  for (let n = newest + 1; n <= newest + TRIES; n++) {
    const key = chatKey(uid, n);
    const text = await sealPart(ctx, key, "text", said);
    const fresh = { kind: "message", uid, n, at: ctx.clock.now(), run, state: "waiting", text, reply: null } as const;
    const message: Message = { ...key, writers: [], ...fresh };
    if (await writeRecord(ctx, message)) return n;
  }
  throw new Problem("unavailable", "Too many messages at once, try again", { retryAfterSeconds: 1 });
}

export function findChatPort({ ports }: Pick<Environment, "ports">): number | undefined {
  return ports.find(({ kind }) => kind === "http")?.port;
}
