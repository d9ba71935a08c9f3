import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * What commands say before they do anything else, so that none is missed, however short its life. It comes through a
 * FIFO, which takes what is written to it also where a sandbox shows it read-only.
 */
export interface BegunCommands {
  /** Has the FIFO; for `LOCAL_PATH`, whose directories each sandbox shows. */
  readonly directory: string;
  /** The same command, which first says the name of its run. */
  saying(command: string): string;
  /**
   * The runs so far, one for each command that began: one that began twice is there twice. The FIFO holds some 1,500
   * names that were not read yet, and a command that finds it full waits.
   */
  read(): readonly string[];
  close(): void;
}

export function noteBegunCommands(): BegunCommands {
  const directory = mkdtempSync(join(tmpdir(), "berth-begun-"));
  // Commands are another user's.
  chmodSync(directory, 0o755);
  const fifo = join(directory, "runs");
  execFileSync("mkfifo", ["-m", "622", fifo]);
  // Open for writing too: else it would be at its end whenever no command has it open.
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

/** In words, the records whose command began more than once, in one run or in several. */
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
