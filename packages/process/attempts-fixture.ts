import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_MS } from "./patience-fixture.ts";
import { systemPath } from "./sandbox/environment.ts";

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
export function formatScript(attempts: Attempts): string {
  const lines = Object.entries(attempts).flatMap(([name, { line, control, isOutside }]) => [
    `echo "### ${name}"; (${line}) 2>&1 </dev/null; ${said}`,
    ...(isOutside ? [] : [`(${control}) 2>&1 </dev/null; ${said}`]),
  ]);
  return `${lines.join("\n")}\necho "### end"`;
}

/** What is seen of the script: what it has printed, and whether its shell still runs. */
export interface SeenScript {
  readonly output: string;
  readonly isRunning: boolean;
}

/** Looks until the script came to its end, its shell ended before, or it printed nothing more for so long. */
export async function seenAtEnd(readScript: () => Promise<SeenScript>, silentMs = PATIENCE_MS): Promise<SeenScript> {
  let seen = await readScript();
  let since = performance.now();
  while (isUnderWay(seen) && performance.now() - since < silentMs) {
    await sleep(50);
    const next = await readScript();
    if (next.output !== seen.output) since = performance.now();
    seen = next;
  }
  return seen;
}

/**
 * What each attempt got by what was seen of the script. The controls that belong outside are run here, with these
 * variables, each for at most so long.
 */
export function gotBy(
  seen: SeenScript,
  attempts: Attempts,
  env: Readonly<Record<string, string>>,
  withinMs = PATIENCE_MS,
): Map<string, Got> {
  const [, ...parts] = seen.output.split("### ");
  const texts = new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]));
  const missing = isUnderWay(seen) ? tooSlow : "the script ended before it was through";
  return new Map(
    Object.entries(attempts).map(([name, attempt]) => {
      const [tried, control] = listSteps(texts.get(name) ?? "");
      return [name, judged(tried, attempt.isOutside ? runOutside(attempt.control, env, withinMs) : control, missing)];
    }),
  );
}

function isUnderWay({ output, isRunning }: SeenScript): boolean {
  return isRunning && !output.includes("### end\n");
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

function listSteps(part: string): Step[] {
  return Array.from(part.matchAll(/([\s\S]*?)\n--- (\d+)\n/g), ([, text = "", code]) => ({ text, code: Number(code) }));
}

/** How a shell ends that found no program, or one that cannot be run. */
const noProgram = [126, 127];

/** How an attempt ends that waited for an answer in vain, where being kept out is one: nobody knows what it would get. */
export const TOO_SLOW = 124;
const tooSlow = "too slow to judge";

function judged(tried: Step | undefined, control: Step | undefined, missing: string): Got {
  if (!tried) return { text: "", isHeld: false, unmade: missing };
  if (tried.code === TOO_SLOW) return { text: tried.text, isHeld: false, unmade: tooSlow };
  const isUnmade = noProgram.includes(tried.code) || /\bnot found$/m.test(tried.text);
  const unmade = isUnmade ? `no program: ${tried.text}` : unmadeBy(control, missing);
  return { text: tried.text, isHeld: tried.code !== 0, unmade };
}

/** Why an attempt counts for nothing whose control came to this. */
function unmadeBy(control: Step | undefined, missing: string): string | undefined {
  if (!control) return missing;
  if (control.code === TOO_SLOW) return tooSlow;
  return control.code === 0 ? undefined : `its control failed: ${control.text}`;
}

function runOutside(line: string, env: Readonly<Record<string, string>>, withinMs: number): Step {
  const options = { env: { PATH: systemPath, ...env }, timeout: withinMs, encoding: "utf8" } as const;
  const { status, stdout, stderr, error } = spawnSync("/bin/sh", ["-c", line], options);
  const isCut = (error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT";
  return { text: `${stdout}${stderr}`, code: isCut ? TOO_SLOW : (status ?? -1) };
}

function inCell(text: string): string {
  return text.trim().replaceAll("\n", " / ").replaceAll("|", "\\|").slice(0, 200) || "(nothing)";
}
