import type { UserContext } from "../../context.ts";
import { Problem } from "../../problem.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
import { changeRecord } from "../../store/write-record.ts";
import { HOUR_MS } from "../../units.ts";
import { keepKeys } from "../access/guests.ts";
import { newGuest, sealToken } from "../record/changes/access.ts";
import { type Action, type ActionKind, addAction, closeActions } from "../record/changes/actions.ts";
import { SHOWN_AFTER_MS } from "../record/changes/extensions.ts";
import { getEnvironment } from "../record/read.ts";
import { type Environment, isEnded } from "../record/record.ts";
import { decideEnd } from "../record/transitions.ts";

type RequestContext = UserContext<"table" | "queue">;

/**
 * Cancels an environment. A repeat returns the first request. Throws `notFound`, or `conflict` if it is stopped or
 * ended.
 */
export async function requestCancel(
  ctx: RequestContext,
  id: string,
  reason = "Cancelled by its owner",
): Promise<Action> {
  return requestAction(ctx, id, (environment, now, token) => {
    const word = environment.end.outcome?.phase ?? environment.phase;
    if (word === "cancelled")
      return environment.requests.list.find((action) => action.kind === "cancel") ?? getFirst(environment);
    if (isEnded(environment) || environment.phase === "stopped" || environment.end.outcome) {
      throw new Problem("conflict", `Cannot cancel ${ctx.noun} ${id} in status ${word}`);
    }
    const withAction = addAction(environment, { kind: "cancel", at: now, noun: ctx.noun, writer: token });
    const ended = decideEnd(withAction, { phase: "cancelled", reason, at: now });
    return { ...ended, waitPool: undefined, waitOrder: undefined };
  });
}

/**
 * Extends an environment; shown a little later. A repeat with the same `chosen` token adds nothing. Throws `notFound`,
 * `invalid` above the limit, or `conflict` if it is over.
 */
export async function requestExtension(
  ctx: RequestContext,
  id: string,
  extraMs: number,
  chosen?: string,
): Promise<Action> {
  const decide = (environment: Environment, now: number, token: string) => {
    if (isEnded(environment) || environment.end.outcome) {
      const word = environment.end.outcome?.phase ?? environment.phase;
      throw new Problem("conflict", `Cannot extend ${ctx.noun} ${id} in status ${word}`);
    }
    const wantedMs = environment.size.wantedMs + extraMs;
    const total = (wantedMs + (environment.times.earlierMs ?? 0)) / HOUR_MS;
    const limit = ctx.settings.maxTotalHours;
    if (total > limit) {
      const text = `Cannot extend beyond ${limit} hours in total. Total would be ${Number(total.toFixed(3))} hours`;
      throw new Problem("invalid", text, { errorCode: "limit" });
    }
    const { times } = environment;
    const warnedOf = times.warnedMinutes === null ? undefined : (times.warnedOf ?? times.endsAt ?? undefined);
    const endsAt = times.endsAt === null ? null : times.endsAt + extraMs;
    const withAction = addAction(environment, { kind: "extend", at: now, noun: ctx.noun, writer: token, extraMs });
    return {
      ...withAction,
      size: { ...environment.size, wantedMs },
      times: { ...times, endsAt, endSetAt: now, warnedOf },
    };
  };
  return requestAction(ctx, id, decide, { delayMs: SHOWN_AFTER_MS, token: chosen });
}

type WordOf = (environment: Environment) => string;

/**
 * Switches Jupyter on or off. An open request for the opposite fails as superseded. Throws `notFound`, or `conflict` if
 * it is not active.
 */
export async function requestJupyter(
  ctx: RequestContext & UserContext<"sealer">,
  id: string,
  wanted: boolean,
  formatWord: WordOf,
): Promise<Action> {
  const kind: ActionKind = wanted ? "enable_jupyter" : "disable_jupyter";
  return requestAction(ctx, id, async (environment, now, token) => {
    refuseUnlessActive(ctx, environment, `Cannot ${wanted ? "enable" : "disable"} Jupyter for`, formatWord);
    const {
      access,
      requests: { list: actions },
    } = environment;
    const withAction = addAction(environment, { kind, at: now, noun: ctx.noun, writer: token });
    const isMoving = actions.some((action) => action.status === "requested" && action.kind.endsWith("_jupyter"));
    if (wanted === (access.jupyter !== null)) {
      const isSo = wanted ? access.jupyter?.origin !== null : !isMoving;
      const same = { ...withAction, access: { ...access, jupyterFault: undefined } };
      return isSo ? closeActions(same, [kind], now) : same;
    }
    const jupyter = wanted ? { token: await sealToken(ctx, environment), origin: null } : null;
    const opposite: ActionKind = wanted ? "disable_jupyter" : "enable_jupyter";
    const alone = closeActions(withAction, [opposite], now, `Superseded by request ${withAction.requests.count}`);
    return { ...alone, access: { ...access, jupyter, jupyterFault: undefined, revision: access.revision + 1 } };
  });
}

const MOST_GUESTS = 50;

/**
 * Lets in the SSH keys of a GitHub user. A repeat with the same `chosen` token adds nothing. Throws `notFound`, or
 * `conflict` if it is not active or has 50 users.
 */
export async function addCollaborator(
  ctx: RequestContext,
  id: string,
  name: string,
  formatWord: WordOf,
  chosen?: string,
): Promise<Action> {
  const decide = (environment: Environment, now: number, token: string) => {
    refuseUnlessActive(ctx, environment, "Cannot add a user to", formatWord);
    const { access } = environment;
    const knownGuest = access.guests.find((guest) => guest.name === name);
    if (!knownGuest && access.guests.length >= MOST_GUESTS) {
      throw new Problem("conflict", `Too many users for ${ctx.noun} ${id}`, { errorCode: "limit" });
    }
    const guest = { ...newGuest(name, now), known: knownGuest?.known ?? false, asked: true as const };
    const guests = [...access.guests.filter((otherGuest) => otherGuest !== knownGuest), guest];
    const withAction = addAction(environment, {
      kind: "add_user",
      at: now,
      noun: ctx.noun,
      writer: token,
      subject: name,
    });
    const guestFault = access.guestFault?.name === name ? undefined : access.guestFault;
    return { ...withAction, access: { ...access, guests, guestFault } };
  };
  return requestAction(ctx, id, decide, { token: chosen });
}

/**
 * Lets in a public key. A repeat with the same `chosen` token adds nothing. Throws `notFound`, or `conflict` as above.
 */
export async function requestKey(
  ctx: RequestContext,
  id: string,
  key: string,
  formatWord: WordOf,
  chosen?: string,
): Promise<Action> {
  const name = `key:${ctx.ids.hash(key).slice(0, 16)}`;
  const decide = async (environment: Environment, now: number, token: string) => {
    refuseUnlessActive(ctx, environment, "Cannot add a user to", formatWord);
    const { access } = environment;
    const others = access.guests.filter((guest) => guest.name !== name);
    const withAction = addAction(environment, {
      kind: "add_user",
      at: now,
      noun: ctx.noun,
      writer: token,
      subject: name,
    });
    const isTooMany = others.length >= MOST_GUESTS || !(await keepKeys(ctx, environment, name, [key]));
    if (isTooMany) throw new Problem("conflict", `Too many users for ${ctx.noun} ${id}`, { errorCode: "limit" });
    const guest = { ...newGuest(name, now), state: "fetched" as const, known: true };
    return { ...withAction, access: { ...access, guests: [...others, guest], revision: access.revision + 1 } };
  };
  return requestAction(ctx, id, decide, { token: chosen });
}

function refuseUnlessActive(ctx: RequestContext, environment: Environment, words: string, formatWord: WordOf): void {
  if (environment.phase === "active" && !environment.end.outcome) return;
  throw new Problem("conflict", `${words} ${ctx.noun} ${environment.id} in status ${formatWord(environment)}`);
}

/**
 * Writes a decision conditionally and requests one reconcile, now or after `delayMs`. An `Action` is returned without a
 * write.
 */
async function requestAction(
  ctx: RequestContext,
  id: string,
  decide: (environment: Environment, now: number, token: string) => Environment | Action | Promise<Environment>,
  { delayMs = 0, token: chosen }: { readonly delayMs?: number; readonly token?: string | undefined } = {},
): Promise<Action> {
  let answer: Action | undefined;
  const { record } = await changeRecord(ctx, {
    read: () => getEnvironment(ctx, id),
    async decide(environment, token): Promise<Environment | undefined> {
      const now = ctx.clock.now();
      answer = environment.requests.list.find((action) => action.writer === token);
      const decided = answer ?? (await decide(environment, now, token));
      const dueAt = delayMs === 0 ? now : Math.min(environment.dueAt ?? Number.POSITIVE_INFINITY, now + delayMs);
      if ("pk" in decided) return { ...decided, dueAt, looks: 0 };
      answer = decided;
      return undefined;
    },
    what: `The ${ctx.noun} ${id} is`,
    token: chosen,
  });
  if (record) await requestReconcile(ctx, record, { delayMs });
  const recorded = answer ?? record?.requests.list.at(-1);
  if (!recorded) throw new Error(`Environment ${id} lost its newest action`);
  return recorded;
}

/** Returns a placeholder for the cancel action of an environment that Berth itself cancelled. */
function getFirst(environment: Environment): Action {
  const { createdAt } = environment;
  return {
    id: 1,
    kind: "cancel",
    writer: "",
    status: "done",
    reason: null,
    requestedAt: createdAt,
    completedAt: createdAt,
  };
}
