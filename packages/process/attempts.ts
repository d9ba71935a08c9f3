import { spawnSync } from "node:child_process";
import { systemPath } from "./environment.ts";

/** What a command tries in order to get what it should not: a line of the shell that succeeds only if it gets it. */
export interface Attempt {
  readonly line: string;
  /** The same means where they may be used, which must succeed: where it does not, nothing was tried. */
  readonly control: string;
  /** Nothing of the kind is allowed inside, so the control runs on the machine itself. */
  readonly isOutside: boolean;
}

/** What came of one. */
export interface Got {
  readonly text: string;
  readonly isHeld: boolean;
  /** Why it could not be made at all. */
  readonly unmade: string | undefined;
}

export type Attempts = Readonly<Record<string, Attempt>>;

export function inside(line: string, control: string): Attempt {
  return { line, control, isOutside: false };
}

export function outside(line: string, control = line): Attempt {
  return { line, control, isOutside: true };
}

/** Of a line that ended, on a line of its own even where it printed half a one. */
const said = `printf '\\n--- %s\\n' $?`;

/** A shell's script that makes each attempt and its control, and says so. */
export function scriptOf(attempts: Attempts): string {
  const lines = Object.entries(attempts).flatMap(([name, { line, control, isOutside }]) => [
    `echo "### ${name}"; (${line}) 2>&1 </dev/null; ${said}`,
    ...(isOutside ? [] : [`(${control}) 2>&1 </dev/null; ${said}`]),
  ]);
  return `${lines.join("\n")}\necho "### end"`;
}

/** Whether the script came to its end. */
export function isWhole(output: string): boolean {
  return output.includes("### end\n");
}

/** What each attempt got by the script's output. The controls that belong outside are run here, with these variables. */
export function gotBy(output: string, attempts: Attempts, env: Readonly<Record<string, string>>): Map<string, Got> {
  const [, ...parts] = output.split("### ");
  const texts = new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]));
  return new Map(
    Object.entries(attempts).map(([name, attempt]) => {
      const [tried, control] = stepsOf(texts.get(name) ?? "");
      return [name, judged(tried, attempt.isOutside ? runOutside(attempt.control, env) : control)];
    }),
  );
}

/** For whoever asks by PRINT_ATTEMPTS=1 what each attempt got. */
export function printGot(title: string, got: ReadonlyMap<string, Got>): void {
  if (process.env.PRINT_ATTEMPTS !== "1") return;
  const rows = [...got].map(([name, { text, isHeld, unmade }]) => {
    const verdict = unmade === undefined ? String(isHeld) : `not tried: ${inCell(unmade)}`;
    return `| ${name} | ${inCell(text)} | ${verdict} |`;
  });
  process.stdout.write(
    `\n${[`${title}:`, "", "| attempt | what it got | held |", "|---|---|---|", ...rows].join("\n")}\n`,
  );
}

interface Step {
  readonly text: string;
  readonly code: number;
}

function stepsOf(part: string): Step[] {
  return Array.from(part.matchAll(/([\s\S]*?)\n--- (\d+)\n/g), ([, text = "", code]) => ({ text, code: Number(code) }));
}

/** How a shell ends that found no program, or one that cannot be run. */
const noProgram = [126, 127];

/** How an attempt ends that waited for an answer in vain, where being kept out is one: nobody knows what it would get. */
export const TOO_SLOW = 124;

function judged(tried: Step | undefined, control: Step | undefined): Got {
  if (!tried) return { text: "", isHeld: false, unmade: "it was never begun" };
  if (tried.code === TOO_SLOW) return { text: tried.text, isHeld: false, unmade: "too slow to judge" };
  const isUnmade = noProgram.includes(tried.code) || /\bnot found$/m.test(tried.text);
  const failed = control?.code === 0 ? undefined : `its control failed: ${control?.text ?? "never begun"}`;
  return { text: tried.text, isHeld: tried.code !== 0, unmade: isUnmade ? `no program: ${tried.text}` : failed };
}

function runOutside(line: string, env: Readonly<Record<string, string>>): Step {
  const options = { env: { PATH: systemPath, ...env }, timeout: 20_000, encoding: "utf8" } as const;
  const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", line], options);
  return { text: `${stdout}${stderr}`, code: status ?? -1 };
}

function inCell(text: string): string {
  return text.trim().replaceAll("\n", " / ").replaceAll("|", "\\|").slice(0, 200) || "(nothing)";
}
