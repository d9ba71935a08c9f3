import { exitCodes, QuietExit } from "../failure.ts";

export interface Choice {
  readonly value: string;
  readonly label: string;
  /** Why this choice cannot be made. */
  readonly disabledBecause?: string | undefined;
}

export interface LineOptions {
  /** Default for an empty line. */
  readonly usual: string;
  /** The text shown for an empty line. The default is the usual value. */
  readonly placeholder?: string;
  /** Returns the problem of a line, or undefined if the line is valid. */
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
