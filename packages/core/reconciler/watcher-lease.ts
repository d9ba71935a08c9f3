import type { Context } from "../context.ts";
import type { ChangedNodes } from "../ports/changed-nodes.ts";
import type { Item, Stored } from "../ports/table.ts";
import { watchKey } from "../store/keys.ts";
import { unlessUnreadable } from "../store/readable.ts";
import { isNewer, Unreadable } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { forwardEvents } from "./forward-events.ts";
import { machineListing } from "./machine-listing.ts";

/** The schedule starts a caller this often. Each waits for the one before it to end. */
export const WATCH_MINUTES = 10;
const LONGEST_MS = (WATCH_MINUTES + 1) * 60_000;
/** Longer than a dead holder blocks the watch, and than two callers overlap. */
const LONGEST_WAIT_MS = 120_000;
const ASK_AGAIN_MS = 1_000;
const RENEWED_EVERY_MS = 30_000;
const PAUSE_MS = 1_000;

type Ports = Context<"table" | "queue" | "compute">;

/**
 * Follows the cluster's changes for eleven minutes, or until the signal aborts, and lists the machines when a node
 * changed. One caller follows at a time, and the next continues from its position
 * (docs/architecture/reconciliation.md). Returns without following if another caller still holds the watch after two
 * minutes.
 */
export async function runWatcher(ctx: Ports, signal: AbortSignal): Promise<void> {
  const endsAt = ctx.clock.monotonic() + LONGEST_MS;
  const held = await takeWatch(ctx, signal);
  if (held) await holdWatch(ctx, held, { signal, endsAt });
}

/**
 * Frees the watch, so that the next follower does not wait for a killed one. Call it only when no follower runs. An
 * item of a newer version stays: polling works without a follower.
 */
export async function releaseWatcherLease(ctx: Context<"table">): Promise<void> {
  const before = await unlessUnreadable(ctx, () => readWatch(ctx));
  if (before?.holder) await writeWatch(ctx, before, { holder: null, version: before.version });
}

/** Waits until the watch is free: released, expired, or unwritten for 90 s, which needs no synchronized clocks. */
async function takeWatch(ctx: Ports, signal: AbortSignal): Promise<WatchItem | undefined> {
  const { clock } = ctx;
  const givenUpAt = clock.monotonic() + LONGEST_WAIT_MS;
  let unchangedSince = clock.monotonic();
  let writer: string | undefined;
  let lastError: string | undefined;
  while (!signal.aborted) {
    try {
      const item = await readWatch(ctx);
      if (item?.writers[0] !== writer) [writer, unchangedSince] = [item?.writers[0], clock.monotonic()];
      const isDead = clock.monotonic() - unchangedSince >= LEASE_MS;
      if (!item?.holder || item.until <= clock.now() || isDead) {
        const taken = await writeWatch(ctx, item, { holder: ctx.ids.uid(), version: item?.version ?? null });
        if (taken) return taken;
      }
    } catch (error) {
      // Log an error once instead of every second, for example while a newer version follows.
      if (lastError !== String(error)) ctx.log.warn("changes not followed", { error: String(error) });
      lastError = String(error);
    }
    if (clock.monotonic() >= givenUpAt) return undefined;
    await clock.sleep(ASK_AGAIN_MS, signal);
  }
  return undefined;
}

/** Follows the changes and writes the position regularly and at the end. Stops if another holder has taken over. */
async function holdWatch(
  ctx: Ports,
  taken: WatchItem,
  { signal, endsAt }: { readonly signal: AbortSignal; readonly endsAt: number },
): Promise<void> {
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const progress = { version: taken.version };
  const listing = machineListing(ctx, both);
  const following = followOn(ctx, progress, { signal: both, nodesChanged: listing.request });
  let held: WatchItem | undefined = taken;
  while (held && !signal.aborted) {
    const left = endsAt - ctx.clock.monotonic();
    if (left <= 0) break;
    await ctx.clock.sleep(Math.min(left, RENEWED_EVERY_MS), signal);
    if (!signal.aborted) held = await noted(ctx, held, { holder: held.holder, version: progress.version });
  }
  ending.abort();
  await following;
  if (held) await noted(ctx, held, { holder: null, version: progress.version });
  // The next holder need not wait for this.
  await listing.settled();
}

/** Writes the position. Keeps the watch if the table does not answer; only another holder ends it. */
async function noted(
  ctx: Ports,
  before: WatchItem,
  note: Pick<WatchItem, "holder" | "version">,
): Promise<WatchItem | undefined> {
  try {
    return await writeWatch(ctx, before, note);
  } catch (error) {
    ctx.log.warn("place in the changes not noted", { error: String(error) });
    return before;
  }
}

/** Continues despite errors, because no other process follows while this one holds the lease. */
async function followOn(
  ctx: Ports,
  progress: { version: string | null },
  { signal, nodesChanged }: { readonly signal: AbortSignal; readonly nodesChanged: (nodes: ChangedNodes) => void },
): Promise<void> {
  const reached = (version: string) => {
    progress.version = version;
  };
  while (!signal.aborted) {
    try {
      await forwardEvents(ctx, { signal, from: progress.version, reached, nodesChanged });
    } catch (error) {
      ctx.log.warn("changes not followed", { error: String(error) });
    }
    // Also pause after a stream without an error, or one that ends at once would spin.
    if (!signal.aborted) await ctx.clock.sleep(PAUSE_MS, signal);
  }
}

/** The process that follows the cluster's changes, and the position from which the next one continues. */
export interface WatchItem extends Stored {
  readonly kind: "watch";
  /** null if no process follows. */
  readonly holder: string | null;
  /** Another process may take over after this time, ms, or if the holder has not written for `LEASE_MS`. */
  readonly until: number;
  /** All changes up to this version were passed on. null: the next holder begins with all existing runs. */
  readonly version: string | null;
}

/** A holder that has not written for this long is dead. */
const LEASE_MS = 90_000;
const LONGEST_VERSION = 1_000;

/**
 * Returns the watch item, or undefined if no process ever followed. Invalid fields count as no holder. Throws
 * `Unreadable` for a newer format: that version follows.
 */
export async function readWatch(ctx: Context<"table">): Promise<WatchItem | undefined> {
  const item = await ctx.table.get(watchKey);
  if (item && isNewer(item)) throw new Unreadable("watch", item, "a newer version follows the changes");
  return item && getWatch(item);
}

/** Writes the watch item. Returns undefined on a conflict. Throws if the table does not answer. */
function writeWatch(
  ctx: Context<"table">,
  before: WatchItem | undefined,
  { holder, version }: Pick<WatchItem, "holder" | "version">,
): Promise<WatchItem | undefined> {
  const until = holder === null ? 0 : ctx.clock.now() + LEASE_MS;
  return writeRecord<WatchItem>(ctx, {
    ...watchKey,
    writers: before?.writers ?? [],
    kind: "watch",
    holder,
    until,
    version: version !== null && version.length <= LONGEST_VERSION ? version : null,
  });
}

function getWatch({ writers, holder, until, version }: Item): WatchItem {
  return {
    ...watchKey,
    writers,
    kind: "watch",
    holder: typeof holder === "string" ? holder : null,
    until: typeof until === "number" ? until : 0,
    version: typeof version === "string" ? version : null,
  };
}
