import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "#core/ports/clock.ts";
import type { Database } from "./database.ts";

/** Size of a record with its message, roughly, so that a small free space does not count as room. */
const TRIED_BYTES = 32 * 1024;
const TRIED_EVERY_MS = 5_000;
const TRIED_AGAIN_MS = 1_000;
const PATIENCE_MS = 500;

export interface WriteCheckOptions {
  readonly database: Database;
  readonly clock: Pick<Clock, "monotonic">;
}

/** Returns a check that reports why nothing can be stored, by a test write now and then. */
export function writeCheck({ database, clock }: WriteCheckOptions): () => Promise<string | undefined> {
  const statement = database.prepare("INSERT OR REPLACE INTO tried VALUES (1, zeroblob(?))");
  let refusal: string | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let trying: Promise<void> | undefined;

  const tryWrite = async () => {
    triedAt = clock.monotonic();
    refusal = await database
      .write(() => statement.run(TRIED_BYTES))
      .then(
        () => undefined,
        (error: Error) => error.message,
      );
    trying = undefined;
  };
  return async () => {
    const isRefused = (refusal ?? database.refusal()) !== undefined;
    const isDue = clock.monotonic() - triedAt >= (isRefused ? TRIED_AGAIN_MS : TRIED_EVERY_MS);
    if (isDue) trying ??= tryWrite();
    if (trying !== undefined) await Promise.race([trying, sleep(PATIENCE_MS, undefined, { ref: false })]);
    return refusal ?? database.refusal();
  };
}
