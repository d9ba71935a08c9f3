import { printableText } from "#core/text/printable-text.ts";
import type { ClusterDescription } from "../environments.ts";
import { shellWord } from "../shell-text.ts";
import type { Stack } from "../stack.ts";

type Started = Pick<
  Stack,
  "url" | "home" | "isolation" | "limits" | "sharedNetwork" | "sshPort" | "usersDirectory" | "cluster"
>;

/** `link` logs a browser in, so it is only for a terminal. */
export function startLines(stack: Started, usualHome: string, link?: string): string {
  const { url, home, isolation, limits, sharedNetwork, sshPort, usersDirectory, cluster } = stack;
  const setsHome = home === usualHome ? "" : `BERTH_HOME=${shellWord(home)} `;
  const rows = [
    ["docs", `${url}/docs`],
    ["API key", `eval "$(${setsHome}npm run --silent env)"   (in a second shell)`],
    ...(sshPort === undefined ? [] : [["SSH", `port ${sshPort}; each job's ssh_command has the rest`]]),
    ...(usersDirectory === undefined ? [] : [["users", `credentials in ${usersDirectory}`]]),
    ...(link === undefined
      ? []
      : [
          ["console", link],
          ["", "Logs a browser in, once and for a minute. Later: npx berth web"],
        ]),
    ["first steps", "npx berth up, or docs/embedded-stack.md"],
    ["isolation", isolation],
    ...(sharedNetwork === undefined ? [] : [["", `Shared network: ${sharedNetwork}.`]]),
    ...(meanings[isolation] ?? []).map((line) => ["", line]),
    ["limits", limits],
    ...(cluster === undefined ? [] : clusterRows(cluster)),
    [
      "data",
      `${home} (${cluster === undefined ? "disks and records stay" : "records stay; disks are on the cluster"})`,
    ],
  ];
  const lines = rows.map(([label = "", text = ""]) => `  ${label.padEnd(11)}  ${printableText(text)}`);
  const end = cluster === undefined ? "Ctrl-C ends it, and its environments" : "Ctrl-C ends it; environments go on";
  return [`\nBerth listens on ${printableText(url)} (${end})\n`, ...lines, ""].join("\n");
}

function clusterRows({ name, nodes, lacks }: ClusterDescription): string[][] {
  return [["cluster", name], ["nodes", nodes], ...lacks.map((line, at) => [at === 0 ? "lacking" : "", line])];
}

const meanings: Readonly<Record<string, readonly string[]>> = {
  none: [
    "Environments can read and change everything that you can:",
    "admit only people that you trust. To isolate: docs/isolation.md",
  ],
  "bubblewrap, shared network": [
    "Environments see only their own files, and reach everything",
    "that listens on this machine. To isolate: docs/isolation.md",
  ],
  "bubblewrap, own network": [
    "Environments see only their own files, and nothing that",
    "listens on this machine's loopback.",
  ],
};

/** The effect of a stop on environments. A cluster always keeps its own running. */
export type Fate = "end" | "go on" | "go on on the cluster";

export function stopLine(names: readonly string[] | undefined, fate: Fate = "end"): string {
  if (names === undefined) return "Stopping.";
  if (names.length === 0) return "Stopping. No environment runs.";
  if (fate === "go on on the cluster") {
    return `Stopping. On the cluster ${names.length} of its environments go on, until they end or expire.`;
  }
  return `Stopping${fate === "end" ? "" : ", and leaving"} ${countWords(names)}: ${nameWords(names)}`;
}

export function choiceLine(names: readonly string[] | undefined, seconds: number): string {
  if (names === undefined) return `Environments end in ${seconds} s. Press Ctrl-C again to leave them running.`;
  const [verb, them] = names.length === 1 ? ["ends", "it"] : ["end", "them"];
  return `${countWords(names)} ${verb} in ${seconds} s: ${nameWords(names)}\nPress Ctrl-C again to leave ${them} running.`;
}

function countWords(names: readonly string[]): string {
  return names.length === 1 ? "1 environment" : `${names.length} environments`;
}

function nameWords(names: readonly string[]): string {
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : "";
  return `${names.slice(0, mostNamed).map(printableText).join(", ")}${more}`;
}

const mostNamed = 5;
