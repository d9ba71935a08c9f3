import { helpTopics, plainTopic } from "../definitions/help-topics.ts";
import { CliError, exitCodes } from "../failure.ts";
import { out, outputColumns } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";

/** Longer lines are hard to read. */
const mostColumns = 100;

/** Prints a topic. */
export function help(_flags: object, ...words: string[]): void {
  const [word = ""] = words;
  const topic = words.length === 1 && Object.hasOwn(helpTopics, word) ? helpTopics[word] : undefined;
  if (topic === undefined) throw unknownTopic(words);
  out(plainTopic(topic, Math.min(outputColumns(), mostColumns)));
}

function unknownTopic(words: readonly string[]): CliError {
  const hint = `See all commands with: berth help. Topics are ${Object.keys(helpTopics).join(", ")}`;
  return new CliError(`There is no command or topic '${printable(words.join(" "))}'`, exitCodes.usage, hint);
}
