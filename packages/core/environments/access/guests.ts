import type { Context } from "../../context.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import type { Step, WorkerContext } from "../../reconciler/worker.ts";
import { accessKey } from "../../store/keys.ts";
import { listOf, mapOf, text, uid } from "../../store/shape.ts";
import { parserOf } from "../../store/unreadable.ts";
import { writeRecord } from "../../store/write-record.ts";
import type { Guest } from "../record/changes/access.ts";
import { closeActions, hasOpenAction } from "../record/changes/actions.ts";
import type { Environment } from "../record/record.ts";
import { changed } from "../record/step-result.ts";
import { addEntry } from "../record/timeline.ts";
import { usableKeys } from "./ssh-keys.ts";

/** The keys of one environment have at most so many bytes in all: they are one item. */
const MOST_KEY_BYTES = 128 * 1024;
const MOST_TRIES = 5;

/**
 * Asks GitHub for the keys of a guest and keeps them in the environment's access item. What GitHub does not know is a
 * failed action; that it does not answer is one after five tries.
 */
export async function fetchKeys(
  ctx: WorkerContext,
  environment: Environment,
  guest: Guest,
  now: number,
): Promise<Step<Environment>> {
  // Read before it is asked: whoever keeps newer keys meanwhile has the last word.
  const item = await ctx.table.get(accessKey(environment, environment.uid));
  const answer = await ask(ctx, guest.name);
  if (answer === "no answer") return tryLater(environment, guest, ctx.clock.now());
  if (answer === undefined) return dismiss(environment, guest, `GitHub user '${guest.name}' not found`, now);
  const keys = usableKeys(answer);
  if (keys.length === 0) return dismiss(environment, guest, `No SSH keys found for GitHub user '${guest.name}'`, now);
  if (!(await writeKeys(ctx, environment, item, { [guest.name]: keys }))) {
    return dismiss(environment, guest, "There are too many SSH keys already", now);
  }
  const { access } = environment;
  const fetched = withGuest(environment, { ...guest, state: "fetched", known: true });
  return changed(
    { ...environment, access: { ...access, guests: fetched, revision: access.revision + 1 } },
    now,
    "fetched",
  );
}

async function ask(ctx: WorkerContext, user: string): Promise<string | undefined | "no answer"> {
  try {
    return await ctx.githubKeys.keysOf(user);
  } catch (error) {
    ctx.log.warn("github keys not fetched", { user, error: String(error) });
    return "no answer";
  }
}

/** Later, and never as a failed step: the environment's own time goes on meanwhile. */
function tryLater(environment: Environment, guest: Guest, now: number): Step<Environment> {
  const tries = guest.tries + 1;
  if (tries >= MOST_TRIES) return dismiss(environment, guest, "GitHub could not be asked for the SSH keys", now);
  const guests = withGuest(environment, { ...guest, tries, nextAt: now + 2 ** tries * 1000 });
  return changed({ ...environment, access: { ...environment.access, guests } }, now, "GitHub did not answer");
}

/**
 * Leaves the guest out, or as before. An action tells the reason of the guest that it asked for. For the guest of a
 * submit, the timeline tells it and the record keeps it.
 */
function dismiss(environment: Environment, guest: Guest, reason: string, now: number): Step<Environment> {
  const { access } = environment;
  const others = access.guests.filter(({ name }) => name !== guest.name);
  const guests = guest.known ? withGuest(environment, { ...guest, state: "in" }) : others;
  const isAsked = hasOpenAction(environment, "add_user", ({ subject }) => subject === guest.name);
  const guestFault = isAsked ? access.guestFault : { name: guest.name, reason };
  const without = { ...environment, access: { ...access, guests, guestFault } };
  const closed = closeActions(without, ["add_user"], now, reason, ({ subject }) => subject === guest.name);
  return changed(isAsked ? closed : addEntry(closed, now, reason), now, "dismissed a guest");
}

function withGuest({ access }: Environment, changedGuest: Guest): Guest[] {
  return access.guests.map((guest) => (guest.name === changedGuest.name ? changedGuest : guest));
}

interface FetchedKeys extends Stored {
  readonly kind: "access";
  readonly uid: string;
  /** By GitHub user. */
  readonly guests: Readonly<Record<string, readonly string[]>>;
}

/** Throws `Unreadable`: taken for none, it would shut out whoever is in. */
export const parseAccess: (item: Item) => FetchedKeys = parserOf("access", { uid, guests: mapOf(listOf(text)) });

/** False when they would be too many. Written before the head says that they are here, and once more changes nothing. */
export async function keepKeys(
  ctx: Context<"table">,
  environment: Environment,
  name: string,
  keys: readonly string[],
): Promise<boolean> {
  return writeKeys(ctx, environment, await ctx.table.get(accessKey(environment, environment.uid)), { [name]: keys });
}

async function writeKeys(
  ctx: Context<"table">,
  environment: Environment,
  item: Item | undefined,
  keys: FetchedKeys["guests"],
): Promise<boolean> {
  const key = accessKey(environment, environment.uid);
  const known = item ? parseAccess(item).guests : {};
  const guests = { ...known, ...keys };
  if (JSON.stringify(guests).length > MOST_KEY_BYTES) return false;
  const next = { ...item, ...key, writers: item?.writers ?? [], kind: "access", uid: environment.uid, guests };
  if (!(await writeRecord(ctx, next))) throw new Conflict(`access of ${environment.uid}`);
  return true;
}
