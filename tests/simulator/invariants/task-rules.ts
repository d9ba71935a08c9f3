import type { ReconcileRequest } from "#core/ports/queue.ts";
import type { Item, Key, Stored } from "#core/ports/table.ts";
import { Conflict } from "#core/problem.ts";
import { keyText } from "#core/store/keys.ts";
import type { TruePorts } from "../weather/faulty-ports.ts";

/** Checks one reconcile against the rules of docs/architecture.md. */
export interface TaskRules {
  readonly ports: TruePorts;
  broken(): string[];
}

/** A reconcile that is early or lost three writes is resent with this delay, without a write. */
const RESENT_SECONDS = 1;

/** Checks that only a reconcile that wrote sends the next one, and that it reads again after a lost write. */
export function taskRules(ports: TruePorts, request: ReconcileRequest): TaskRules {
  let won = false;
  /** Reads that must follow a lost write: one to see whose write won, and one to decide again. */
  let lost = 0;
  let ownToken: string | undefined;
  const broken: string[] = [];
  const isOwn = (key: Key) => keyText(key) === request.look;

  async function read<Found>(keys: readonly Key[], get: () => Promise<Found>, itemsOf: (found: Found) => Item[]) {
    const isOwnRead = keys.some(isOwn);
    const found = await get().catch((error: unknown) => {
      // If the read fails, the reconcile fails and its message returns.
      if (isOwnRead) lost = 0;
      throw error;
    });
    if (!isOwnRead) return found;
    const item = itemsOf(found).find(isOwn);
    const isMine = ownToken !== undefined && item?.writers.includes(ownToken) === true;
    lost = isMine ? 0 : Math.max(0, lost - 1);
    // The write succeeded, and only its repetition was refused.
    won ||= isMine;
    return found;
  }

  /** Writes items, and notes whether the looked-at record is among them. */
  async function write(items: readonly Stored[], put: () => Promise<void>): Promise<void> {
    const own = items.find(isOwn);
    try {
      await put();
      won ||= own !== undefined;
    } catch (error) {
      if (own && error instanceof Conflict) {
        lost = 2;
        ownToken = own.writers[0];
      }
      throw error;
    }
  }

  return {
    broken: () =>
      lost > 0 ? [...broken, `a look at ${request.look} lost its write and ended without reading again`] : broken,
    ports: {
      ...ports,
      table: {
        ...ports.table,
        get: (key) =>
          read(
            [key],
            () => ports.table.get(key),
            (item) => (item ? [item] : []),
          ),
        getMany: (keys) =>
          read(
            keys,
            () => ports.table.getMany(keys),
            (items) => items,
          ),
        put: (item, options) => write([item], () => ports.table.put(item, options)),
        putAll: (puts) =>
          write(
            puts.map(({ item }) => item),
            () => ports.table.putAll(puts),
          ),
      },
      queue: {
        ...ports.queue,
        send(queue, message, options) {
          const isSame = message.look === request.look;
          const next = isSame && queue === "work";
          const resent = options?.delaySeconds === RESENT_SECONDS;
          // A message for the queue of deliveries is not the next reconcile.
          if (isSame && resent) lost = 0;
          if (next && !resent && !won) broken.push(`a look at ${request.look} sent the next without having written`);
          return ports.queue.send(queue, message, options);
        },
      },
    },
  };
}
