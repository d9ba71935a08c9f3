import { cut } from "./layout.ts";
import { out } from "./terminal.ts";
import { printable } from "./text.ts";
import type { WatchDisplay } from "./watch-display.ts";

const { stdout } = process;

/** The alternate screen of xterm keeps what was on the terminal before, and no resize can break its lines. */
const enterScreen = "\u001B[?1049h\u001B[?25l";
const leaveScreen = "\u001B[?25h\u001B[?1049l";
const home = "\u001B[H";
const clearLine = "\u001B[K";
const clearBelow = "\u001B[J";

/** Draws each state over the one before. The last one stays on the terminal when the watch ends. */
export function openWatchScreen(): WatchDisplay {
  let text = "";
  let noted = "";
  const draw = () => out(frame(text, noted, stdout));
  const enter = () => {
    out(enterScreen);
    draw();
  };
  const leave = () => out(leaveScreen);
  // Ctrl-Z shows the shell, which needs its own screen and cursor.
  const suspend = () => {
    leave();
    process.kill(process.pid, "SIGSTOP");
  };
  const listeners = [
    [stdout, "resize", draw],
    [process, "SIGTSTP", suspend],
    [process, "SIGCONT", enter],
    // A second Ctrl-C ends the process at once.
    [process, "exit", leave],
  ] as const;
  out(enterScreen);
  for (const [source, event, listener] of listeners) source.on(event, listener);
  return {
    show(state) {
      text = state.text;
      noted = "";
      draw();
    },
    note(words) {
      noted = words;
      draw();
    },
    close() {
      for (const [source, event, listener] of listeners) source.off(event, listener);
      leave();
      out(text);
    },
  };
}

/** Returns the output that draws a text in a terminal of this size, with a status line below it. */
function frame(text: string, noted: string, { columns, rows }: { readonly columns: number; readonly rows: number }) {
  const lines = text.trimEnd().split("\n");
  const room = Math.max(1, rows - 2);
  const hidden = lines.length - room;
  const shown = hidden > 0 ? [...lines.slice(0, room - 1), `… and ${hidden + 1} more lines`] : lines;
  const status = printable(noted) || "Looks every 2 s. Ctrl-C ends this, and nothing else.";
  const drawn = [...shown, "", status].map((line) => `${cut(line, columns)}${clearLine}`);
  return `${home}${drawn.join("\n")}${clearBelow}`;
}
