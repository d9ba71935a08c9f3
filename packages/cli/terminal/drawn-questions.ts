import { confirm, isCancel, select, text } from "@clack/prompts";
import { cancelled, type Questions } from "./questions.ts";

/** Questions with a cursor, for terminals that can move it. */
export function drawnQuestions(signal: AbortSignal): Questions {
  const common = { input: process.stdin, output: process.stderr, signal };
  return {
    async choose(message, choices) {
      const options = choices.map(({ value, label, disabledBecause }) => {
        return disabledBecause === undefined
          ? { value, label }
          : { value, label, disabled: true, hint: disabledBecause };
      });
      const choice = await select({ ...common, message, options, showInstructions: false });
      if (isCancel(choice)) throw cancelled();
      return choice;
    },
    async line(message, { usual, placeholder = usual, problem }) {
      const validate = (line = "") => (line.trim() === "" ? undefined : problem?.(line.trim()));
      const line = await text({ ...common, message, placeholder, defaultValue: usual, validate });
      if (isCancel(line)) throw cancelled();
      return line.trim() === "" ? usual : line.trim();
    },
    async confirm(message) {
      const answer = await confirm({ ...common, message });
      if (isCancel(answer)) throw cancelled();
      return answer;
    },
  };
}
