import type { DatabaseSync } from "node:sqlite";
import { Problem } from "#core/problem.ts";
import { getErrorCode } from "./sqlite-error.ts";
import type { LogOnDisk } from "./sync.ts";

export interface Batch {
  add<Made>(work: () => Made, isDurable: boolean): Promise<Made>;
  refusal(): string | undefined;
  end(): void;
}

interface Open {
  readonly isDurable: boolean;
  run(): void;
  settle(): void;
  fail(error: unknown): void;
}

interface BatchParts {
  readonly sql: DatabaseSync;
  readonly disk: LogOnDisk;
  /** Number of the newest commit with a waiting writer. */
  readonly commits: { newest: number };
  readonly problemOf: (error: unknown) => unknown;
}

export function createBatch({ sql, disk, commits, problemOf }: BatchParts): Batch {
  let open: Open[] = [];
  let refusal: Problem | undefined;
  let newest: string | undefined;
  const begin = sql.prepare("BEGIN IMMEDIATE");
  const end = sql.prepare("COMMIT");
  const count = sql.prepare("UPDATE commits SET n = n + 1 RETURNING n");
  const commit = () => {
    const works = open;
    open = [];
    if (works.length === 0) return;
    const durable = works.filter(({ isDurable }) => isDurable);
    try {
      begin.run();
      for (const work of works) work.run();
      const number = durable.length > 0 ? Number(count.get()?.n) : commits.newest;
      end.run();
      commits.newest = number;
    } catch (error) {
      if (sql.isTransaction) sql.exec("ROLLBACK");
      const problem = problemOf(error);
      newest = String(problem instanceof Problem ? problem.message : problem);
      for (const work of works) work.fail(problem);
      return;
    }
    newest = undefined;
    for (const work of works) if (!work.isDurable) work.settle();
    if (durable.length === 0) return;
    disk.sync((error) => {
      if (error) refusal ??= notSynced(error);
      for (const work of durable) error ? work.fail(refusal) : work.settle();
    });
  };
  return {
    add: (work, isDurable) =>
      new Promise((resolve, reject) => {
        if (refusal) throw refusal;
        if (open.length === 0) setImmediate(commit);
        open.push({ isDurable, ...getOpen(work, resolve, reject) });
      }),
    refusal: () => refusal?.message ?? newest,
    end() {
      commit();
      refusal = new Problem("unavailable", "The stack is stopping");
    },
  };
}

/** Returns the error of a failed sync. Only a new start reads which part of the log is on the disk. */
function notSynced(cause: Error): Problem {
  const isFull = ["ENOSPC", "EDQUOT"].includes((cause as NodeJS.ErrnoException).code ?? "");
  const [failure, remedy] = isFull ? ["was full", "make room and "] : ["failed", ""];
  const text = `The disk of this stack ${failure} during a write: ${remedy}start the stack again`;
  return new Problem("unavailable", text, { cause, retryAfterSeconds: 60, ...(isFull && { errorCode: "capacity" }) });
}

/** Returns a write of the batch. Its result or error is reported only after the transaction is committed. */
function getOpen<Made>(
  work: () => Made,
  resolve: (made: Made) => void,
  reject: (error: unknown) => void,
): Omit<Open, "isDurable"> {
  let settle = () => {};
  return {
    run() {
      try {
        const made = work();
        settle = () => resolve(made);
      } catch (error) {
        if (getErrorCode(error) !== undefined) throw error;
        settle = () => reject(error);
      }
    },
    settle: () => settle(),
    fail: reject,
  };
}
