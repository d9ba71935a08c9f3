import type { ReconcileRequest } from "#core/ports/queue.ts";
import type { Key } from "#core/ports/table.ts";
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
  return {
    broken: () =>
      lost > 0 ? [...broken, `a look at ${request.look} lost its write and ended without reading again`] : broken,
    ports: {
      ...ports,
      table: {
        ...ports.table,
        async get(key) {
          const item = await ports.table.get(key).catch((error: unknown) => {
            // If the read fails, the reconcile fails and its message returns.
            if (isOwn(key)) lost = 0;
            throw error;
          });
          const isMine = ownToken !== undefined && item?.writers.includes(ownToken) === true;
          if (isOwn(key)) lost = isMine ? 0 : Math.max(0, lost - 1);
          // The write succeeded, and only its repetition was refused.
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
          // A message for the queue of deliveries is not the next reconcile.
          if (isSame && resent) lost = 0;
          if (next && !resent && !won) broken.push(`a look at ${request.look} sent the next without having written`);
          return ports.queue.send(queue, message, options);
        },
      },
    },
  };
}
