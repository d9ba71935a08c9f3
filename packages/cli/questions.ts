import { exitCodes, QuietExit } from "./failure.ts";

export interface Choice {
  readonly value: string;
  readonly label: string;
  /** Why this choice cannot be made. */
  readonly disabledBecause?: string | undefined;
}

export interface LineOptions {
  /** Taken if the line is empty. */
  readonly usual: string;
  /** What an empty line means, if not the usual value. */
  readonly placeholder?: string;
  /** Returns what is wrong with a line. */
  readonly problem?: (line: string) => string | undefined;
}

/** Questions on a terminal. Esc, Ctrl-C and a signal end the command. */
export interface Questions {
  choose(message: string, choices: readonly Choice[]): Promise<string>;
  line(message: string, options: LineOptions): Promise<string>;
  confirm(message: string): Promise<boolean>;
}

/** Ends the command: the user left a question. */
export function cancelled(): QuietExit {
  return new QuietExit(exitCodes.detached);
}
