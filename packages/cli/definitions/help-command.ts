import { buildCommand } from "@stricli/core";
import { helpTopics } from "./help-topics.ts";

/** Returns the command `help`, which completes the names of commands and topics. */
export function helpCommand(commandNames: () => readonly string[]) {
  const proposeCompletions = (partial: string) => {
    return [...commandNames(), ...Object.keys(helpTopics)].filter((word) => word.startsWith(partial));
  };
  const brief = `Command, or topic: ${Object.keys(helpTopics).join(", ")}`;
  return buildCommand({
    loader: async () => (await import("../commands/help.ts")).help,
    parameters: {
      flags: {},
      positional: { kind: "array", parameter: { parse: String, placeholder: "word", brief, proposeCompletions } },
    },
    docs: {
      brief: `Explain a command, or a topic: ${Object.keys(helpTopics).join(", ")}`,
      customUsage: ["[command…]", "topic"],
    },
  });
}

/**
 * Returns the arguments of a line. `help` and `help COMMAND` are `--help` of the whole or of the command. Every other
 * line is returned unchanged, so the command `help` only gets topics and unknown words.
 */
export function expandHelp(line: readonly string[], commandNames: readonly string[]): readonly string[] {
  const [command, ...words] = line;
  if (command !== "help" || words.some((word) => word.startsWith("-"))) return line;
  return words[0] === undefined || commandNames.includes(words[0]) ? [...words, "--help"] : line;
}
