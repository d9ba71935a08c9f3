import { type Application, type CommandContext, proposeCompletions } from "@stricli/core";
import { quietFlag, takeQuiet } from "./quiet-flag.ts";

/** Returns the words that may stand in place of the last typed one. */
export async function proposeCandidates<Context extends CommandContext>(
  app: Application<Context>,
  typed: readonly string[],
  context: Context,
): Promise<string[]> {
  const { line, proposals: quiet } = proposeQuiet(typed);
  const proposals = await proposeCompletions(app, line, context);
  return [...subcommands(app.root, line), ...proposals.map(({ completion }) => completion), ...quiet];
}

/** Takes `--quiet` from a line, and proposes it where it may stand as the last word. */
function proposeQuiet(typed: readonly string[]) {
  const last = typed.at(-1) ?? "";
  const { isQuiet, line } = takeQuiet(typed.slice(0, -1));
  const mayStand = last.startsWith("-") && takeQuiet([...typed.slice(0, -1), quietFlag]).line.length === line.length;
  const proposals = mayStand && !isQuiet && quietFlag.startsWith(last) ? [quietFlag] : [];
  return { line: [...line, last], proposals };
}

/** Returns the commands of a group. stricli leaves them out if the group has a default command. */
function subcommands<Context extends CommandContext>(root: Application<Context>["root"], typed: readonly string[]) {
  let group: typeof root | undefined = root;
  for (const word of typed.slice(0, -1)) {
    group = group && "getAllEntries" in group ? group.getRoutingTargetForInput(word) : undefined;
  }
  if (!group || !("getAllEntries" in group) || !group.getDefaultCommand()) return [];
  const names = group.getAllEntries().map(({ name }) => name["convert-camel-to-kebab"]);
  return names.filter((name) => name.startsWith(typed.at(-1) ?? ""));
}
