import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Reports of commands that begin, so that none is missed, however short. They come through a FIFO, which can be written
 * to even if a sandbox mounts it read-only.
 */
export interface BegunCommands {
  /** Directory of the FIFO, for `LOCAL_PATH`, whose directories each sandbox mounts. */
  readonly directory: string;
  /** Returns a command that first reports the name of its run. */
  saying(command: string): string;
  /**
   * Returns the runs so far, one for each begun command. The FIFO holds about 1,500 unread names; a command that finds
   * it full waits.
   */
  read(): readonly string[];
  close(): void;
}

export function noteBegunCommands(): BegunCommands {
  const directory = mkdtempSync(join(tmpdir(), "berth-begun-"));
  // Commands run as another user.
  chmodSync(directory, 0o755);
  const fifo = join(directory, "runs");
  execFileSync("mkfifo", ["-m", "622", fifo]);
  // Without a writer, reads would report the end of the file.
  const descriptor = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  let text = "";
  return {
    directory,
    saying: (command) => `echo "$BERTH_RUN" > ${fifo}; ${command}`,
    read: () => {
      text += textIn(descriptor);
      return text.split("\n").slice(0, -1);
    },
    close: () => {
      closeSync(descriptor);
      rmSync(directory, { recursive: true });
    },
  };
}

/** Returns in words the records whose command began more than once, in one run or several. */
export function begunTwice(runs: readonly string[]): string[] {
  const uids = runs.map((run) => run.replace(/-r\d+$/, ""));
  const again = uids.filter((uid, at) => uids.indexOf(uid) !== at);
  return [...new Set(again)].map(
    (uid) => `the command of ${uid} began as ${runs.filter((run) => run.startsWith(uid))}`,
  );
}

function textIn(descriptor: number): string {
  const bytes = Buffer.alloc(64 * 1024);
  try {
    return bytes.toString("latin1", 0, readSync(descriptor, bytes));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return "";
    throw error;
  }
}
