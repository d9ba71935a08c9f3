import { CliError, exitCodes } from "../failure.ts";
import { out } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";

/** Each shell hands the words typed so far to `berth __complete` and offers the lines that it prints. */
const scripts: Readonly<Record<string, string>> = {
  bash: `_berth() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  mapfile -t COMPREPLY < <(berth __complete "\${words[@]}" 2>/dev/null)
}
complete -o default -F _berth berth
`,
  zsh: `#compdef berth
_berth() {
  local -a found
  found=("\${(@f)$(berth __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -- $found
}
compdef _berth berth
`,
  fish: `complete -c berth -f -a '(berth __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
};

/** Prints the completion of a shell. */
export function completion(_flags: object, shell: string): void {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
  if (script === undefined) throw unknownShell(shell);
  out(script);
}

function unknownShell(shell: string): CliError {
  return new CliError(`There is no completion for '${printable(shell)}'`, exitCodes.usage, "Give bash, zsh or fish");
}
