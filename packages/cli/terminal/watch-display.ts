import { out, outJson, say } from "./terminal.ts";

export interface WatchedState {
  readonly data: unknown;
  /** Lines for users. They also change with the clock. */
  readonly text: string;
}

/** The output of a watch: a screen that is redrawn, or lines. */
export interface WatchDisplay {
  show(state: WatchedState): void;
  /** Says why there is nothing newer. */
  note(words: string): void;
  close(): void;
}

/** Prints one line of JSON for each change. */
export function printJsonLines(): WatchDisplay {
  return printEachChange(({ data }) => outJson(data));
}

/** Prints the whole text, and from then on the lines that a change added or took away. */
export function printChanges(): WatchDisplay {
  let shown: readonly string[] = [];
  return printEachChange(({ text }) => {
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    out(shown.length === 0 ? text : getChanges(shown, lines));
    shown = lines;
  });
}

function printEachChange(print: (state: WatchedState) => void): WatchDisplay {
  let shown = "";
  let noted = "";
  return {
    show(state) {
      noted = "";
      const data = JSON.stringify(state.data);
      if (data === shown) return;
      shown = data;
      print(state);
    },
    note(words) {
      if (words !== noted) say(words);
      noted = words;
    },
    close: () => undefined,
  };
}

/** A row is gone if no line begins with its first word. The first line is a header or a title. */
function getChanges(before: readonly string[], after: readonly string[]): string {
  const knownLines = new Set(before.map(withoutTime));
  const names = new Set(after.map(firstWord));
  const added = after.filter((line) => !knownLines.has(withoutTime(line)));
  const gone = before.slice(1).filter((line) => !names.has(firstWord(line)));
  return [...added, ...gone.map((line) => `gone: ${line}`)].map((line) => `${line}\n`).join("");
}

function firstWord(line: string): string {
  return line.trim().split(" ", 1)[0] ?? "";
}

/** Spans of time change by themselves, and so does the width of a column. */
function withoutTime(line: string): string {
  return line
    .replace(/\b\d+ (s|min|h|days)\b/g, "")
    .replace(/ +/g, " ")
    .trim();
}
