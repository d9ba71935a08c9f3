import type { Answer } from "#aws/cluster-check/answers.ts";

/** A step of a stage's removal. The next steps wait until nothing is left for it. */
export interface RemovalStep {
  readonly what: string;
  /** The names of the objects that are left, or the reason why they are unknown. */
  readonly left: Answer<readonly string[]>;
  readonly todo: string;
  /** What to do if it is not known what is left. By default, to correct the reason. */
  readonly whenUnknown?: string;
  /** Commands for the shell that do it. */
  readonly commands?: readonly string[];
}

export function isDone({ left }: RemovalStep): boolean {
  return "value" in left && left.value.length === 0;
}

const CORRECT = "Correct that, and run this again. Only --force removes the stage without an answer";

/** Begins the line of each step that is not done. */
const LEFT = "  LEFT: ";

/** Returns lines for people, in the order of the steps. Only the first one that is not done has its commands. */
export function formatSteps(steps: readonly RemovalStep[]): string[] {
  const first = steps.find((step) => !isDone(step));
  return steps.flatMap((step) => {
    const { what, left, todo, whenUnknown = CORRECT } = step;
    if (isDone(step)) return [`  Nothing left: ${what}.`];
    const said = "value" in left ? formatNames(left.value) : `not known: ${left.refusal}`;
    const commands = step === first ? (step.commands ?? []) : [];
    return [
      `${LEFT}${what}: ${said}.`,
      `    ${"value" in left ? todo : whenUnknown}`,
      ...commands.map((command) => `      ${command}`),
    ];
  });
}

const MOST_NAMES = 10;

function formatNames(names: readonly string[]): string {
  const others = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  return `${names.slice(0, MOST_NAMES).join(", ")}${others}`;
}
