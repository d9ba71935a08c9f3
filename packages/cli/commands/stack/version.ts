import { out, outJson } from "../../terminal/terminal.ts";
import { version } from "../../version.ts";

/** Prints the version. */
export function showVersion({ json }: { readonly json: boolean }): void {
  if (json) outJson({ version });
  if (!json) out(`berth ${version}\n`);
}
