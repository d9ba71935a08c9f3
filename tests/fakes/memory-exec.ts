import type { Clock } from "#core/ports/clock.ts";
import type { Compute, Notice, Observation } from "#core/ports/compute.ts";
import type { Exec, ExecStatus } from "#core/ports/exec.ts";
import { RunGone } from "#core/problem.ts";

/** Outcome of a command. By default it prints nothing and ends at once with 0. */
export interface ExecOutcome {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
  /** Time from its start to its end; `null`: it runs until it is ended. */
  readonly takesMs?: number | null;
  /** Directory in which it reports to have left its shell. */
  readonly directory?: string;
}

export interface MemoryExecs extends Pick<Compute, "startExec" | "readExec" | "countWork" | "tell"> {
  /** Sets the outcome of later commands for which `match` holds. The newest matching one counts. */
  programExec(match: (exec: Exec) => boolean, outcome: ExecOutcome | ((exec: Exec) => ExecOutcome)): void;
  /** Returns all started commands in order, including those of removed runs. */
  execs(): readonly Exec[];
  /** Sets the sessions of the uid's runs beside their commands; null: unknown. */
  setSessions(uid: string, sessions: number | null): void;
  /** Returns the notices to the terminals of this run, each once. */
  notices(uid: string, run: number): readonly Notice[];
  /** Sets the work without a connection in the uid's runs; null: unknown; an error: the call fails. */
  setWork(uid: string, work: number | null | Error): void;
}

/** State of a run from the fake Compute. */
export interface RunLife {
  readonly isOpen: boolean;
  /** Time of the run's end, with which its commands ended; undefined while it lives. */
  readonly endedAt: number | undefined;
}

interface Begun {
  readonly run: string;
  readonly exec: Exec;
  readonly outcome: ExecOutcome;
  readonly endsAt: number;
  readonly timesOutAt: number;
}

const keptBytes = 1024 * 1024;

/** Commands in memory. Without a program a command writes its own words, as `echo` would, and ends at once. */
export function memoryExecs(
  clock: Clock,
  findLife: (uid: string, run: number) => RunLife | undefined,
): MemoryExecs & { sessions(uid: string, run: number): Observation["sessions"] } {
  const programs: Parameters<MemoryExecs["programExec"]>[] = [];
  const others = new Map<string, number | null>();
  const notices = new Map<string, readonly Notice[]>();
  const work = new Map<string, number | null | Error>();
  const begun = new Map<string, Begun>();

  const startExec: Compute["startExec"] = async (uid, run, exec) => {
    if (!findLife(uid, run)?.isOpen) throw new RunGone();
    const id = `${uid}-r${run}/${exec.id}`;
    if (begun.has(id)) return;
    const [, program = echo] = programs.findLast(([match]) => match(exec)) ?? [];
    const outcome = typeof program === "function" ? program(exec) : program;
    const now = clock.now();
    const takesMs = outcome.takesMs === null ? Number.POSITIVE_INFINITY : (outcome.takesMs ?? 0);
    const times = { endsAt: now + takesMs, timesOutAt: now + exec.timeoutMs };
    begun.set(id, { run: `${uid}-r${run}`, exec: structuredClone(exec), outcome, ...times });
  };
  const readExec: Compute["readExec"] = async (uid, run, id, waitMs) => {
    const startedExec = begun.get(`${uid}-r${run}/${id}`);
    if (!startedExec || !findLife(uid, run)) return undefined;
    const waits = Math.min(waitMs, getEnd(startedExec, findLife(uid, run)) - clock.now());
    if (waits > 0) await clock.sleep(waits);
    const life = findLife(uid, run);
    return life && getStatus(startedExec, life, clock.now());
  };
  return {
    startExec,
    readExec,
    programExec: (match, outcome) => void programs.push([match, outcome]),
    execs: () => [...begun.values()].map(({ exec }) => exec),
    setSessions: (uid, sessions) => void others.set(uid, sessions),
    tell: async (uid, run, notice) => {
      const told = notices.get(`${uid}-r${run}`) ?? [];
      if (!findLife(uid, run) || told.some(({ kind, at }) => kind === notice.kind && at === notice.at)) return;
      notices.set(`${uid}-r${run}`, [...told, notice]);
    },
    notices: (uid, run) => notices.get(`${uid}-r${run}`) ?? [],
    setWork: (uid, works) => void work.set(uid, works),
    countWork: async (uid) => {
      const works = work.get(uid);
      if (works instanceof Error) throw works;
      return works === undefined ? 0 : works;
    },
    sessions: (uid, run) => {
      const otherOther = others.get(uid) ?? 0;
      if (others.get(uid) === null) return null;
      const ownValue = [...begun.values()].filter((it) => it.run === `${uid}-r${run}`);
      return otherOther + ownValue.filter((it) => getEnd(it, findLife(uid, run)) > clock.now()).length;
    },
  };
}

function echo({ words }: Exec): ExecOutcome {
  return { stdout: `${words.join(" ")}\n` };
}

function getEnd({ endsAt, timesOutAt }: Begun, life: RunLife | undefined): number {
  return Math.min(endsAt, timesOutAt, life?.endedAt ?? Number.POSITIVE_INFINITY);
}

function getStatus(it: Begun, life: RunLife, now: number): ExecStatus {
  const { outcome, endsAt, timesOutAt } = it;
  const [out, err] = [outcome.stdout ?? "", outcome.stderr ?? ""].map(firstMebibyte) as [Kept, Kept];
  const written = { stdout: out.text, stderr: err.text, stdoutCut: out.isCut, stderrCut: err.isCut };
  const end = getEnd(it, life);
  if (end > now) return { ...written, state: "running", exitCode: null, timedOut: false, directory: null };
  const ended = { ...written, state: "ended" as const, timedOut: false, directory: null };
  if (end === endsAt) return { ...ended, exitCode: outcome.exitCode ?? 0, directory: outcome.directory ?? null };
  const timedOut = end === timesOutAt;
  return { ...ended, exitCode: timedOut ? 124 : 137, timedOut };
}

interface Kept {
  readonly text: string;
  readonly isCut: boolean;
}

function firstMebibyte(text: string): Kept {
  const bytes = Buffer.from(text);
  const isCut = bytes.length > keptBytes;
  // In stream mode, the decoder holds back an incomplete character at the end.
  return { text: new TextDecoder().decode(bytes.subarray(0, keptBytes), { stream: isCut }), isCut };
}
