import { BerthError } from "../../sdk/errors.ts";
import { sleep } from "../../sdk/retry.ts";
import { exitCodes, toExitCode } from "../failure.ts";
import { sendCall } from "../login/client.ts";
import { connect } from "../login/connect.ts";
import { rememberAnswers } from "../state/remembered-answers.ts";
import { canRedraw, interruptSignal } from "./terminal.ts";
import type { OpenView } from "./view.ts";
import { printChanges, printJsonLines, type WatchDisplay } from "./watch-display.ts";
import { openWatchScreen } from "./watch-screen.ts";

const intervalMs = 2000;

/**
 * Reads a view every 2 s and shows it until Ctrl-C: redrawn in place on a terminal, else the lines that changed, or one
 * line of JSON for each change. Retries while the server does not answer.
 */
export async function watchView<Data>(isJson: boolean, open: OpenView<Data>): Promise<void> {
  const signal = interruptSignal();
  const view = await open(await connect({ signal, fetch: rememberAnswers(sendCall) }));
  const read = async () => {
    const data = await view.read();
    return { data, text: view.describe(data) || `${view.emptyWords}\n` };
  };
  const first = await read();
  const display = openDisplay(isJson);
  try {
    display.show(first);
    for (;;) {
      await sleep(intervalMs, signal);
      try {
        display.show(await read());
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (!isOutage(error)) throw error;
        display.note(`${error.message}; trying again`);
      }
    }
  } finally {
    display.close();
  }
}

function openDisplay(isJson: boolean): WatchDisplay {
  if (isJson) return printJsonLines();
  return canRedraw() ? openWatchScreen() : printChanges();
}

/** Reports whether the server is away, or asks for a pause. */
function isOutage(error: unknown): error is Error {
  return toExitCode(error) === exitCodes.unreachable || (error instanceof BerthError && error.code === "rate");
}
