import { type Application, type CommandContext, proposeCompletions } from "@stricli/core";

/** Returns the words that may stand in place of the last typed one. */
export async function proposeCandidates<Context extends CommandContext>(
  app: Application<Context>,
  typed: readonly string[],
  context: Context,
): Promise<string[]> {
  const proposals = await proposeCompletions(app, typed, context);
  return [...subcommands(app.root, typed), ...proposals.map(({ completion }) => completion)];
}

/** For a group with a default command, stricli proposes only the flags of that command. */
function subcommands<Context extends CommandContext>(root: Application<Context>["root"], typed: readonly string[]) {
  let group: typeof root | undefined = root;
  for (const word of typed.slice(0, -1)) {
    group = group && "getAllEntries" in group ? group.getRoutingTargetForInput(word) : undefined;
  }
  if (!group || !("getAllEntries" in group) || !group.getDefaultCommand()) return [];
  const names = group.getAllEntries().map(({ name }) => name["convert-camel-to-kebab"]);
  return names.filter((name) => name.startsWith(typed.at(-1) ?? ""));
}
