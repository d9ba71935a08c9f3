import { createHash, randomUUID } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import type { SubmitJob } from "../../sdk/jobs.ts";
import { withLock } from "./lock.ts";
import { findProcess, isRunning, type ProcessIdentity } from "./process-identity.ts";
import { readState, removeOldState, statePath, writePrivate } from "./state.ts";

const directory = "submits";
/**
 * The server keeps an idempotency key for 24 hours. The client forgets it after an hour, when the same command means
 * another job.
 */
const oldestMs = 3_600_000;

interface PendingSubmit {
  readonly idempotencyKey: string;
  readonly process: ProcessIdentity | undefined;
}

export interface NotedSubmit {
  readonly idempotencyKey: string;
  /** An earlier process sent the same request under this key and left before the answer. */
  readonly isRepeat: boolean;
  /** Forgets the submit, whose outcome is known. */
  settle(): void;
}

/**
 * Notes a submit before it is sent. If an earlier process left the same submit without an answer, the noted key is that
 * of the earlier one, so the server creates no second job. A process that still runs keeps its key.
 */
export function noteSubmit(url: string, request: SubmitJob): Promise<NotedSubmit> {
  return withLock(directory, async () => {
    // The request may hold secrets, so only its hash is stored.
    const digest = createHash("sha256")
      .update(JSON.stringify([url, request]))
      .digest("hex");
    const left = findLeft(digest);
    const idempotencyKey = left ?? randomUUID();
    const path = statePath(directory, `${digest}.${idempotencyKey}`);
    const noted: PendingSubmit = { idempotencyKey, process: findProcess(process.pid) };
    writePrivate(path, JSON.stringify(noted));
    return { idempotencyKey, isRepeat: left !== undefined, settle: () => rmSync(path, { force: true }) };
  });
}

/** Returns the key of a submit whose process has ended. */
function findLeft(digest: string): string | undefined {
  const path = statePath(directory);
  if (!existsSync(path)) return undefined;
  removeOldState(directory, oldestMs);
  const names = readdirSync(path).filter((name) => name.startsWith(`${digest}.`));
  const pending = names.map((name) => readState(statePath(directory, name)) as PendingSubmit | undefined);
  return pending.find((submit) => submit && !(submit.process && isRunning(submit.process)))?.idempotencyKey;
}
