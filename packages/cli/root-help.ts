import { rootHelp } from "./app.ts";
import { isOperator } from "./state/profiles.ts";

/** Returns what `berth --help` prints. In a package, app.ts is replaced by its answers, so that no command is loaded. */
export function ownRootHelp(): Promise<string> {
  return rootHelp({ showsAdmin: isOperator() });
}
