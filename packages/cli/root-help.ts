import { rootHelp } from "./app.ts";
import { isOperator } from "./state/profiles.ts";

/** Returns the output of `berth --help`. A package contains that output in place of app.ts, so no command is loaded. */
export function ownRootHelp(): Promise<string> {
  return rootHelp({ showsAdmin: isOperator() });
}
