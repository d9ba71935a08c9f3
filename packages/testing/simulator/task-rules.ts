import type { Key, Look } from "#core/context.ts";
import { keyText } from "#core/keys.ts";
import { Conflict } from "#core/problem.ts";
import type { TruePorts } from "./faulty-ports.ts";

/** What one look did to the record it is about, as far as the rules of design section 2 speak of it. */
export interface TaskRules {
  /** The ports of this look alone. */
  readonly ports: TruePorts;
  /** The rules it broke, once it has ended. */
  broken(): string[];
}

/** A look that comes too early, or lost three times, is sent again with this delay and without a write. */
const RESENT_SECONDS = 1;

/** Watches one look at an environment: only who wrote sends the next look, and who lost reads again. */
export function taskRules(ports: TruePorts, look: Look): TaskRules {
  let won = false;
  let lost = false;
  const broken: string[] = [];
  const isOwn = (key: Key) => keyText(key) === look.look;
  return {
    broken: () =>
      lost ? [...broken, `a look at ${look.look} lost its write and ended without reading again`] : broken,
    ports: {
      ...ports,
      table: {
        ...ports.table,
        get(key) {
          if (isOwn(key)) lost = false;
          return ports.table.get(key);
        },
        async put(item, options) {
          try {
            await ports.table.put(item, options);
            won ||= isOwn(item);
          } catch (error) {
            lost ||= isOwn(item) && error instanceof Conflict;
            throw error;
          }
        },
      },
      queue: {
        ...ports.queue,
        send(queue, message, options) {
          const next = message.look === look.look && queue === "work";
          const resent = options?.delaySeconds === RESENT_SECONDS;
          if (next && resent) lost = false;
          if (next && !resent && !won) broken.push(`a look at ${look.look} sent the next without having written`);
          return ports.queue.send(queue, message, options);
        },
      },
    },
  };
}
