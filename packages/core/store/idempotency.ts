import type { Context, UserContext } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { DAY_MS } from "../units.ts";
import { idempotencyKey } from "./keys.ts";
import { literal, mark, number, ordinal, orNull, shape, text, uid } from "./shape.ts";
import { createParser } from "./unreadable.ts";
import { changeRecord, writeRecord } from "./write-record.ts";

/** Ids chosen before anything is written, so that a repeat creates the same resource. */
export interface ChosenIds {
  /** The wire id. */
  readonly id: string;
  readonly uid: string;
}

export interface NewResource extends ChosenIds {
  /** True if an earlier request may have created it, wholly or in part. */
  readonly isRepeat: boolean;
}

export interface KeyedRequest {
  readonly method: string;
  readonly path: string;
  readonly key: string;
  readonly body: string;
}

export interface KeptReply {
  readonly status: number;
  readonly text: string;
}

/** `refused`: nothing was created. `unsure`: the failure does not say whether something was created. */
type State = "open" | "refused" | "unsure" | "done";

interface KeyedCreate extends Stored {
  readonly kind: "idempotency";
  /** Hash of owner, Idempotency-Key and body. With the key, readers of the table cannot test guesses of the body. */
  readonly request: string;
  readonly resource: ChosenIds;
  readonly state: State;
  /** Set if a repeat arrived during the first request. A refusal of one then proves nothing about the other. */
  readonly shared?: true | undefined;
  readonly reply: KeptReply | null;
  readonly createdAt: number;
  /** Seconds since the epoch. */
  readonly ttl: number;
}

export type Begun =
  | { readonly kind: "goOn"; readonly create: KeyedCreate; readonly isRepeat: boolean }
  | { readonly kind: "replay"; readonly reply: KeptReply }
  | { readonly kind: "otherRequest" };

const KEPT_MS = DAY_MS;

/**
 * Stores the ids that this request will use, before anything is created. If an earlier request used the key, the repeat
 * continues with its ids, whether that request died, failed or is running (docs/apis/common.md#idempotency-key).
 */
export async function beginCreate(ctx: UserContext<"table">, request: KeyedRequest, chosen: ChosenIds): Promise<Begun> {
  const fresh = newCreate(ctx, request, chosen);
  // Most keys are new, so write first and read only on a conflict.
  const first = await writeRecord(ctx, fresh);
  if (first) return { kind: "goOn", create: first, isRepeat: false };
  const { record, read: create } = await changeRecord(ctx, {
    read: () => findCreate(ctx, fresh),
    decide(knownCreate): KeyedCreate | undefined {
      if (!knownCreate || mayBegin(knownCreate, fresh)) return { ...fresh, writers: knownCreate?.writers ?? [] };
      return mustShare(knownCreate, fresh) ? { ...knownCreate, shared: true } : undefined;
    },
    what: "The request with this Idempotency-Key is",
  });
  if (record) return { kind: "goOn", create: record, isRepeat: record.shared === true };
  return follow(create as KeyedCreate, fresh);
}

/** Stores the response. If this write is lost, a repeat runs the create again with the same ids. */
export async function keepReply(ctx: Context<"table">, create: KeyedCreate, reply: KeptReply): Promise<void> {
  await keepOutcome(ctx, { ...create, state: "done", reply });
}

/**
 * Records that a create failed. A refusal frees the key, unless another request works or worked on the same resource.
 * Otherwise, a repeat continues with the same ids.
 */
export async function keepFailure(ctx: Context<"table">, create: KeyedCreate, error: unknown): Promise<void> {
  const isRefusal = error instanceof Problem && error.kind !== "failed" && error.kind !== "unavailable";
  // A repeat's refusal does not prove that the earlier request created nothing, unless that creation was undone.
  const isNothing = isRefusal && (create.state === "open" || error.details.isUndone === true);
  await keepOutcome(ctx, { ...create, state: isNothing ? "refused" : "unsure" });
}

function newCreate(ctx: UserContext, { method, path, key, body }: KeyedRequest, resource: ChosenIds): KeyedCreate {
  const owner = ctx.actor.uid;
  const now = ctx.clock.now();
  return {
    ...idempotencyKey(ctx.ids.hash(JSON.stringify([owner, method, path, key]))),
    writers: [],
    kind: "idempotency",
    request: ctx.ids.hash(JSON.stringify([owner, key, body])),
    resource,
    state: "open",
    reply: null,
    createdAt: now,
    ttl: Math.ceil((now + KEPT_MS) / 1000),
  };
}

/** Reports whether the key counts as unused: expired, refused, or left unsure by a request with another body. */
function mayBegin(knownCreate: KeyedCreate, fresh: KeyedCreate): boolean {
  if (fresh.createdAt - knownCreate.createdAt >= KEPT_MS || knownCreate.state === "refused") return true;
  return knownCreate.state === "unsure" && knownCreate.request !== fresh.request;
}

/** Reports whether this request is the first to join a running one. It must mark the record as shared first. */
function mustShare(knownCreate: KeyedCreate, fresh: KeyedCreate): boolean {
  return knownCreate.request === fresh.request && knownCreate.state === "open" && !knownCreate.shared;
}

function follow(knownCreate: KeyedCreate, fresh: KeyedCreate): Begun {
  if (knownCreate.request !== fresh.request) return { kind: "otherRequest" };
  if (knownCreate.reply) return { kind: "replay", reply: knownCreate.reply };
  return { kind: "goOn", create: knownCreate, isRepeat: true };
}

/** Several requests may work on one resource. The state with the highest rank wins. */
const rank = { open: 0, refused: 1, unsure: 2, done: 3 } as const satisfies Record<State, number>;

async function keepOutcome(ctx: Context<"table">, settled: KeyedCreate): Promise<void> {
  if (await writeRecord(ctx, { ...settled, state: keptState(settled.state, settled.shared) })) return;
  await changeRecord(ctx, {
    read: () => findCreate(ctx, settled),
    decide(knownCreate): KeyedCreate | undefined {
      if (knownCreate?.resource.uid !== settled.resource.uid) return undefined;
      const state = keptState(settled.state, knownCreate.shared);
      // Changes the record as found, which may have fields that a newer version added.
      return rank[knownCreate.state] >= rank[state] ? undefined : { ...knownCreate, state, reply: settled.reply };
    },
    what: "The request with this Idempotency-Key is",
  });
}

/** Returns the state to store. Shared refusals become "unsure": the other request may still create the resource. */
function keptState(wanted: State, shared: true | undefined): State {
  return wanted === "refused" && shared ? "unsure" : wanted;
}

async function findCreate(ctx: Context<"table">, key: KeyedCreate): Promise<KeyedCreate | undefined> {
  const item = await ctx.table.get({ pk: key.pk, sk: key.sk });
  return item && parseCreate(item);
}

const parseCreate: (item: Item) => KeyedCreate = createParser("idempotency", {
  request: text,
  resource: shape<ChosenIds>({ id: text, uid }),
  state: literal("open", "refused", "unsure", "done"),
  shared: mark,
  reply: orNull(shape<KeptReply>({ status: ordinal, text })),
  createdAt: number,
  ttl: number,
});
