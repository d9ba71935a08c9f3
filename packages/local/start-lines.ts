import type { Stack } from "./stack.ts";

/** What a person reads who started the stack. `usualHome` is where `npm run env` looks when no home is set. */
export function startLines(stack: Pick<Stack, "url" | "home" | "isolation" | "limits">, usualHome: string): string {
  const { url, home, isolation, limits } = stack;
  const warning = warnings[isolation];
  return [
    `\nBerth listens on ${url} (isolation: ${isolation}; limits: ${limits}). In another shell:`,
    `\n  eval "$(npm run --silent env)"\n`,
    ...(home === usualHome ? [] : [`with BERTH_HOME=${home} set there too.\n`]),
    ...(warning === undefined
      ? []
      : [`${warning}: "What an environment can reach" in README.md says what changes that.\n`]),
    "Ctrl-C ends the stack and all its environments; disks and records stay.\n",
  ].join("\n");
}

const warnings: Readonly<Record<string, string>> = {
  none: "Environments can read and change all that you can",
  "bubblewrap, shared network": "Environments reach all that listens on this machine",
};
