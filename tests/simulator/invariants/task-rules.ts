import type { ReconcileRequest } from "#core/ports/queue.ts";
import type { Key } from "#core/ports/table.ts";
import { Conflict } from "#core/problem.ts";
import { keyText } from "#core/store/keys.ts";
import type { TruePorts } from "../weather/faulty-ports.ts";

/** What one look did to the record it is about, as far as the rules of docs/architecture.md speak of it. */
export interface TaskRules {
  /** The ports of this look alone. */
  readonly ports: TruePorts;
  /** The rules it broke, once it has ended. */
  broken(): string[];
}

/** A look that comes too early, or lost three times, is sent again with this delay and without a write. */
const RESENT_SECONDS = 1;

/** Watches one look at an environment: only who wrote sends the next look, and who lost reads again. */
export function taskRules(ports: TruePorts, request: ReconcileRequest): TaskRules {
  let won = false;
  /** Reads that a lost write must still be followed by: one that looks whose it was, and the one to decide again. */
  let lost = 0;
  let ownToken: string | undefined;
  const broken: string[] = [];
  const isOwn = (key: Key) => keyText(key) === request.look;
  return {
    broken: () =>
      lost > 0 ? [...broken, `a look at ${request.look} lost its write and ended without reading again`] : broken,
    ports: {
      ...ports,
      table: {
        ...ports.table,
        async get(key) {
          const item = await ports.table.get(key).catch((error: unknown) => {
            // Whoever cannot read again fails as a whole, and its message comes back.
            if (isOwn(key)) lost = 0;
            throw error;
          });
          const isMine = ownToken !== undefined && item?.writers.includes(ownToken) === true;
          if (isOwn(key)) lost = isMine ? 0 : Math.max(0, lost - 1);
          // Its write had its effect, and only a repeat of it was refused.
          if (isOwn(key)) won ||= isMine;
          return item;
        },
        async put(item, options) {
          try {
            await ports.table.put(item, options);
            won ||= isOwn(item);
          } catch (error) {
            if (isOwn(item) && error instanceof Conflict) {
              lost = 2;
              ownToken = item.writers[0];
            }
            throw error;
          }
        },
      },
      queue: {
        ...ports.queue,
        send(queue, message, options) {
          const isSame = message.look === request.look;
          const next = isSame && queue === "work";
          const resent = options?.delaySeconds === RESENT_SECONDS;
          // A delivery's own queue is another one.
          if (isSame && resent) lost = 0;
          if (next && !resent && !won) broken.push(`a look at ${request.look} sent the next without having written`);
          return ports.queue.send(queue, message, options);
        },
      },
    },
  };
}
