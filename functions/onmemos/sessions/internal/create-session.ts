import type { UserContext } from "#core/context.ts";
import { type Brief, listEnvironments } from "#core/environments/record/read.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { Conflict, Problem } from "#core/problem.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import { newSession, type WantedSession } from "./new-session.ts";

const TRIES = 1_000;

/**
 * Creates a session and waits for it within the wait budget. Its id ends with the Unix second of the create
 * (`resource.id`), or with the next free number (docs/apis/common.md#ids-and-times).
 */
export async function createSession(
  ctx: UserContext<"table" | "queue" | "sealer">,
  resource: NewResource,
  wanted: WantedSession,
): Promise<Environment> {
  const made = await makeUnderFreeNumber(ctx, resource, wanted);
  return (await waitForEnvironment(ctx, made.id, (session) => !session || isSettled(session))) ?? made;
}

async function makeUnderFreeNumber(
  ctx: UserContext<"table" | "queue" | "sealer">,
  resource: NewResource,
  wanted: WantedSession,
): Promise<Environment> {
  const first = Number(resource.id);
  const from = resource.isRepeat ? await numberBefore(ctx, resource, wanted) : first;
  for (let number = from; number < first + TRIES; number++) {
    const numbered = { ...resource, id: formatId(wanted, number), uid: formatUid(ctx, resource, number) };
    try {
      return await createEnvironment(ctx, newSession(ctx.ids, numbered, wanted));
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
    }
  }
  throw new Problem("unavailable", "Too many sessions were made at once, try again", { retryAfterSeconds: 5 });
}

/** Finds the number of an earlier request's session first: lower numbers may be free by now. */
async function numberBefore(ctx: UserContext<"table">, resource: NewResource, wanted: WantedSession): Promise<number> {
  const matches = ({ sk, uid }: Brief) =>
    sk === formatId(wanted, getNumber(sk)) && uid === formatUid(ctx, resource, getNumber(sk));
  const [made] = (await listEnvironments(ctx, { matches, limit: 1 })).shown;
  return made ? getNumber(made.id) : Number(resource.id);
}

function getNumber(id: string): number {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}

/** Derives a uid from the number, so that a repeat finds it again and no two records share one. */
function formatUid({ ids }: Pick<UserContext, "ids">, { id, uid }: NewResource, number: number): string {
  return number === Number(id) ? uid : ids.hash(`${uid}#${number}`).slice(0, 32);
}

function formatId({ namespace, user }: WantedSession, number: number): string {
  return `ws-${namespace}-${user}-${number}`;
}

function isSettled(session: Environment): boolean {
  return session.phase === "active" || session.end.outcome !== null || isEnded(session);
}
