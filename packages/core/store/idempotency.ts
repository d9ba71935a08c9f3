import type { Context, UserContext } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { DAY_MS } from "../units.ts";
import { idempotencyKey } from "./keys.ts";
import { mark, number, oneOf, ordinal, orNull, shape, text, uid } from "./shape.ts";
import { parserOf } from "./unreadable.ts";
import { changeRecord, writeRecord } from "./write-record.ts";

/** Chosen before anything is written, so that a repeat makes the same thing. */
export interface ChosenIds {
  /** The wire id. */
  readonly id: string;
  readonly uid: string;
}

/** What a create shall make. */
export interface NewResource extends ChosenIds {
  /** An earlier request may have made it already, wholly or in part. */
  readonly isRepeat: boolean;
}

/** A create that came with an Idempotency-Key. */
export interface KeyedRequest {
  readonly method: string;
  readonly path: string;
  readonly key: string;
  readonly body: string;
}

/** The answer of a create, as it is repeated. */
export interface KeptReply {
  readonly status: number;
  readonly text: string;
}

/** `refused`: nothing was made. `unsure`: it failed in a way that does not say whether something was. */
type State = "open" | "refused" | "unsure" | "done";

interface KeyedCreate extends Stored {
  readonly kind: "idempotency";
  /**
   * Hash of owner, Idempotency-Key and body. The key is in it so that nobody who reads the table can test guesses of a
   * secret body.
   */
  readonly request: string;
  readonly resource: ChosenIds;
  readonly state: State;
  /**
   * A repeat came while the first request was still at work. A refusal of one of them then does not mean that the other
   * made nothing.
   */
  readonly shared?: true | undefined;
  readonly reply: KeptReply | null;
  readonly createdAt: number;
  /** Seconds since the epoch. */
  readonly ttl: number;
}

/** What the key says of a request: do it, answer as before, or refuse it because another body used the key. */
export type Begun =
  | { readonly kind: "goOn"; readonly create: KeyedCreate; readonly isRepeat: boolean }
  | { readonly kind: "replay"; readonly reply: KeptReply }
  | { readonly kind: "otherRequest" };

const KEPT_MS = DAY_MS;

/**
 * Writes down which ids this request will use, before anything is made. Where an earlier request used the key, the
 * repeat goes on with the ids of that request, whether it died, failed or still runs
 * (docs/apis/common.md#idempotency-key).
 */
export async function beginCreate(ctx: UserContext<"table">, request: KeyedRequest, chosen: ChosenIds): Promise<Begun> {
  const fresh = newCreate(ctx, request, chosen);
  // Most keys are new: what is there is read only where something is.
  const first = await writeRecord(ctx, fresh);
  if (first) return { kind: "goOn", create: first, isRepeat: false };
  const { record, read } = await changeRecord(ctx, {
    read: () => findCreate(ctx, fresh),
    decide(known): KeyedCreate | undefined {
      if (!known || mayBegin(known, fresh)) return { ...fresh, writers: known?.writers ?? [] };
      return mustShare(known, fresh) ? { ...known, shared: true } : undefined;
    },
    what: "What this Idempotency-Key stands for is",
  });
  if (record) return { kind: "goOn", create: record, isRepeat: record.shared === true };
  return follow(read as KeyedCreate, fresh);
}

/**
 * Keeps the answer for repeats. If this write is lost, a repeat runs the create again with the same ids, and finds the
 * thing made.
 */
export async function keepReply(ctx: Context<"table">, create: KeyedCreate, reply: KeptReply): Promise<void> {
  await keepOutcome(ctx, { ...create, state: "done", reply });
}

/**
 * Notes that a create failed. A refusal frees the key, unless another request is or was at work on the same thing. In
 * that case, and after any other failure, the same request goes on with the same ids.
 */
export async function keepFailure(ctx: Context<"table">, create: KeyedCreate, error: unknown): Promise<void> {
  const isRefusal = error instanceof Problem && error.kind !== "failed" && error.kind !== "unavailable";
  // A refusal of a repeat does not show that the earlier request made nothing, unless it says that what that one made was
  // undone.
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

/**
 * Whether this request may begin as if the key were unused: the key's time is over, its create was refused, or nobody
 * knows what a request with another body made.
 */
function mayBegin(known: KeyedCreate, fresh: KeyedCreate): boolean {
  if (fresh.createdAt - known.createdAt >= KEPT_MS || known.state === "refused") return true;
  return known.state === "unsure" && known.request !== fresh.request;
}

/** Whether this request is the first to join one that may still be at work. It then marks the record as shared first. */
function mustShare(known: KeyedCreate, fresh: KeyedCreate): boolean {
  return known.request === fresh.request && known.state === "open" && !known.shared;
}

function follow(known: KeyedCreate, fresh: KeyedCreate): Begun {
  if (known.request !== fresh.request) return { kind: "otherRequest" };
  if (known.reply) return { kind: "replay", reply: known.reply };
  return { kind: "goOn", create: known, isRepeat: true };
}

/** Several requests may work on one thing: the state of the highest rank stays, whichever comes first. */
const rank = { open: 0, refused: 1, unsure: 2, done: 3 } as const satisfies Record<State, number>;

async function keepOutcome(ctx: Context<"table">, settled: KeyedCreate): Promise<void> {
  if (await writeRecord(ctx, { ...settled, state: keptState(settled.state, settled.shared) })) return;
  await changeRecord(ctx, {
    read: () => findCreate(ctx, settled),
    decide(known): KeyedCreate | undefined {
      if (known?.resource.uid !== settled.resource.uid) return undefined;
      const state = keptState(settled.state, known.shared);
      // Changes the record that was found: others may have written since, among them a newer version that added a field.
      return rank[known.state] >= rank[state] ? undefined : { ...known, state, reply: settled.reply };
    },
    what: "What this Idempotency-Key stands for is",
  });
}

/** The state to keep. A refusal of a shared create is kept as "unsure": the other request may still make the thing. */
function keptState(wanted: State, shared: true | undefined): State {
  return wanted === "refused" && shared ? "unsure" : wanted;
}

async function findCreate(ctx: Context<"table">, key: KeyedCreate): Promise<KeyedCreate | undefined> {
  const item = await ctx.table.get({ pk: key.pk, sk: key.sk });
  return item && parseCreate(item);
}

const parseCreate: (item: Item) => KeyedCreate = parserOf("idempotency", {
  request: text,
  resource: shape<ChosenIds>({ id: text, uid }),
  state: oneOf("open", "refused", "unsure", "done"),
  shared: mark,
  reply: orNull(shape<KeptReply>({ status: ordinal, text })),
  createdAt: number,
  ttl: number,
});
