import type { Context } from "../../context.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { accessKey } from "../../store/keys.ts";
import { list, mapping, text, uid } from "../../store/shape.ts";
import { createParser } from "../../store/unreadable.ts";
import { writeRecord } from "../../store/write-record.ts";
import type { Guest } from "../record/changes/access.ts";
import { closeActions, hasOpenAction } from "../record/changes/actions.ts";
import type { Environment } from "../record/record.ts";
import { changed } from "../record/step-result.ts";
import { addEntry } from "../record/timeline.ts";
import { usableKeys } from "./ssh-keys.ts";

/** Limit of bytes of all keys of an environment, because they share one item. */
const MOST_KEY_BYTES = 128 * 1024;
const MOST_TRIES = 5;

/** Fetches a guest's keys from GitHub. The action fails if GitHub has none, or does not answer five times. */
export async function fetchKeys(
  ctx: WorkerContext,
  environment: Environment,
  guest: Guest,
  now: number,
): Promise<Step<Environment>> {
  // Read before asking, so that the write fails if another worker stores newer keys in between.
  const item = await ctx.table.get(accessKey(environment, environment.uid));
  const answer = await ask(ctx, guest.name);
  if (answer === "no answer") return tryLater(environment, guest, ctx.clock.now());
  if (answer === undefined) return dismiss(environment, guest, `GitHub user '${guest.name}' not found`, now);
  const keys = usableKeys(answer);
  if (keys.length === 0) return dismiss(environment, guest, `No SSH keys found for GitHub user '${guest.name}'`, now);
  if (!(await writeKeys(ctx, environment, item, { [guest.name]: keys }))) {
    return dismiss(environment, guest, "There are too many SSH keys", now);
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
    return await ctx.githubKeys.fetchKeys(user);
  } catch (error) {
    ctx.log.warn("github keys not fetched", { user, error: String(error) });
    return "no answer";
  }
}

/** Schedules a retry. It is not a failed step, because the environment's own time continues. */
function tryLater(environment: Environment, guest: Guest, now: number): Step<Environment> {
  const tries = guest.tries + 1;
  if (tries >= MOST_TRIES) return dismiss(environment, guest, "GitHub did not answer the request for SSH keys", now);
  const guests = withGuest(environment, { ...guest, tries, nextAt: now + 2 ** tries * 1000 });
  return changed({ ...environment, access: { ...environment.access, guests } }, now, "GitHub did not answer");
}

/** Removes the guest, or restores its previous state. The action or the timeline shows the reason. */
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
  readonly guests: Readonly<Record<string, readonly string[]>>;
}

/** Throws `Unreadable`: treating an unreadable item as empty would shut out all guests. */
export const parseAccess: (item: Item) => FetchedKeys = createParser("access", { uid, guests: mapping(list(text)) });

/** Stores the keys before the head refers to them; idempotent. Returns false if the limit would be exceeded. */
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
  const knownGuests = item ? parseAccess(item).guests : {};
  const guests = { ...knownGuests, ...keys };
  if (JSON.stringify(guests).length > MOST_KEY_BYTES) return false;
  const next = { ...item, ...key, writers: item?.writers ?? [], kind: "access", uid: environment.uid, guests };
  if (!(await writeRecord(ctx, next))) throw new Conflict(`access of ${environment.uid}`);
  return true;
}
