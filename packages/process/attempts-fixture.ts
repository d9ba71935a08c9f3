import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_MS } from "./patience-fixture.ts";
import { systemPath } from "./sandbox/local-path.ts";

/** Attempt to get forbidden access: a shell line that succeeds only if it gets it. */
export interface Attempt {
  readonly line: string;
  /** The same attempt where it is allowed. It must succeed, or the attempt proves nothing. */
  readonly control: string;
  /** Runs the control on the machine itself, because nothing of the kind is allowed inside. */
  readonly isOutside: boolean;
}

export interface Got {
  readonly text: string;
  readonly isHeld: boolean;
  readonly unmade: string | undefined;
}

export type Attempts = Readonly<Record<string, Attempt>>;

export function inside(line: string, control: string): Attempt {
  return { line, control, isOutside: false };
}

export function outside(line: string, control = line): Attempt {
  return { line, control, isOutside: true };
}

/** Prints the exit code on its own line, even after output without a final newline. */
const said = `printf '\\n--- %s\\n' $?`;

export function formatScript(attempts: Attempts): string {
  const lines = Object.entries(attempts).flatMap(([name, { line, control, isOutside }]) => [
    `echo "### ${name}"; (${line}) 2>&1 </dev/null; ${said}`,
    ...(isOutside ? [] : [`(${control}) 2>&1 </dev/null; ${said}`]),
  ]);
  return `${lines.join("\n")}\necho "### end"`;
}

export interface SeenScript {
  readonly output: string;
  readonly isRunning: boolean;
}

/** Polls until the script is complete, its shell has ended, or it is silent for `silentMs`. */
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

/** Controls outside run here, with these variables and for at most `withinMs` each. */
export function gotBy(
  seen: SeenScript,
  attempts: Attempts,
  env: Readonly<Record<string, string>>,
  withinMs = PATIENCE_MS,
): Map<string, Got> {
  const [, ...parts] = seen.output.split("### ");
  const texts = new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]));
  const missing = isUnderWay(seen) ? tooSlow : "the script ended too early";
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

const noProgram = [126, 127];

/** Exit code of an attempt that timed out where silence may mean "kept out": its result is unknown. */
export const TOO_SLOW = 124;
const tooSlow = "too slow to judge";

function judged(tried: Step | undefined, control: Step | undefined, missing: string): Got {
  if (!tried) return { text: "", isHeld: false, unmade: missing };
  if (tried.code === TOO_SLOW) return { text: tried.text, isHeld: false, unmade: tooSlow };
  const isUnmade = noProgram.includes(tried.code) || /\bnot found$/m.test(tried.text);
  const unmade = isUnmade ? `no program: ${tried.text}` : unmadeBy(control, missing);
  return { text: tried.text, isHeld: tried.code !== 0, unmade };
}

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
