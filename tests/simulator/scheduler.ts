import type { Clock } from "#core/ports/clock.ts";

/** How likely each fault is at a port call; all 0 when calm. */
export interface FaultRates {
  readonly crash: number;
  readonly freeze: number;
  /** A worker falls asleep, within its budget, between reading what it shall make and making it. */
  readonly sleepBeforeMaking: number;
  /** The call takes effect up to 5 s later. */
  readonly late: number;
  readonly errorBefore: number;
  /** The effect happened, the caller hears of a failure. */
  readonly errorAfter: number;
  readonly dropSend: number;
  readonly doubleSend: number;
  /** A write that took effect is repeated below, as an SDK does whose answer was lost: the caller hears of a conflict. */
  readonly ownRepeated: number;
  /** A look at the cluster does not see a run that is there. */
  readonly blind: number;
  /** The table answers a batch in two parts, makes somebody wait, or refuses after a wait. */
  readonly throttle: number;
  /** The signal that a run changed does not come, comes twice, or late. */
  readonly loseSignal: number;
  readonly doubleSignal: number;
  readonly delaySignal: number;
}

/** A machine that runs handlers and workers. */
export interface Host {
  readonly name: string;
  /** How far its wall clock is ahead of the truth. */
  offsetMs: number;
  readonly clock: Clock;
  /** Tasks that are under way on it. */
  tasks: number;
  /** Grows at each crash: what began before is gone. */
  life: number;
}

interface Call {
  readonly host: Host;
  readonly label: string;
  readonly effect: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Undefined until the effect has happened: then the answer, still on its way. */
  answer: { readonly value?: unknown; readonly error?: unknown } | undefined;
  at: number;
}

export interface Scheduler {
  /** Milliseconds of virtual time, the truth. */
  time(): number;
  /** `isAsleep`: every host sleeps until then, so that nobody can look at anything. */
  advanceTo(time: number, isAsleep: boolean): void;
  /** Virtual time in ms without what passed while every host slept. */
  awake(): number;
  random(): number;
  pick<T>(from: readonly T[]): T;
  newHost(name: string, offsetMs: number): Host;
  /** Every port call goes through here: it happens when the scheduler says so, if it does, and after so long. */
  call<T>(host: Host, label: string, effect: () => Promise<T>, afterMs?: number): Promise<T>;
  /** Begins work on a host; `ended` is called unless the host crashes before. */
  start(host: Host, label: string, work: () => Promise<void>, ended: (failed: boolean) => void): void;
  /** Calls that may continue now. */
  ready(): number;
  /** Time when the next sleeping call may continue. */
  nextAt(): number | undefined;
  /** Resumes one ready call, chosen at random. */
  step(): Promise<void>;
  /** Resumes every promise that can continue: afterwards all work waits for a port call. */
  settled(): Promise<void>;
  crash(host: Host): void;
  setRates(rates: FaultRates): void;
  rates(): FaultRates;
  /** Since when nothing new goes wrong, as `awake` counts; infinite while it may. */
  calmSince(): number;
  calls(): number;
  /** The latest moment at which something was lost, failed, crashed or still slept: what waited for it is late. */
  setBackAt(): number;
  setBack(until: number): void;
  /** Every call and fault, for a full trace. */
  note(line: string): void;
  /** What a person would tell of this schedule: who did what, and how it ended. */
  tell(who: string, subject: string): void;
}

export const calm: FaultRates = {
  crash: 0,
  freeze: 0,
  sleepBeforeMaking: 0,
  late: 0,
  errorBefore: 0,
  errorAfter: 0,
  dropSend: 0,
  doubleSend: 0,
  ownRepeated: 0,
  blind: 0,
  throttle: 0,
  loseSignal: 0,
  doubleSignal: 0,
  delaySignal: 0,
};

const LATE_MS = 5_000;
const SHORT_FREEZE_MS = 22_000;
const LONG_FREEZE_MS = 700_000;
/** The longest that a call takes, unless said; calls take place one after the other. */
const LATENCY_MS = 30;
/** Twice the longest chain of awaits between two port calls. A turn of the event loop would cost half the run. */
const MOST_TICKS = 20;
/** For what goes on beside the task that moved first. */
const MORE_TICKS = 4;
const atOnce = Promise.resolve();

/** One schedule: which call goes on next, and what goes wrong, follow from the random numbers alone. */
export function scheduler(
  random: () => number,
  start: number,
  { note, tell }: Pick<Scheduler, "note" | "tell">,
  latencyMs = LATENCY_MS,
): Scheduler {
  let now = start;
  let rates = calm;
  let calmSince = start;
  let asleepMs = 0;
  let made = 0;
  let setBackAt = Number.NEGATIVE_INFINITY;
  const setBack = (until: number) => {
    setBackAt = Math.max(setBackAt, until);
  };
  let pending: Call[] = [];
  /** Grows when a task makes a call or ends: what an answered call leads to, unless its task waits for others too. */
  let moves = 0;

  function fault(rate: number): boolean {
    return rate > 0 && random() < rate;
  }

  function crash(host: Host): void {
    setBack(now);
    note(`${host.name} crashes`);
    tell(host.name, "crashes");
    host.life += 1;
    host.tasks = 0;
    pending = pending.filter((call) => call.host !== host);
  }

  async function happen(call: Call): Promise<void> {
    if (fault(rates.errorBefore)) {
      setBack(now);
      call.answer = { error: new Error("injected: no effect") };
      tell(call.host.name, `${call.label} fails without effect`);
      return;
    }
    try {
      call.answer = { value: await call.effect() };
    } catch (error) {
      call.answer = { error };
    }
    if (fault(rates.errorAfter)) {
      setBack(now);
      call.answer = { error: new Error("injected: timed out with effect") };
      tell(call.host.name, `${call.label} has its effect and answers with an error`);
    }
    if (rates.sleepBeforeMaking > 0 && isLastRead(call) && fault(rates.sleepBeforeMaking)) {
      call.at = now + 2_000 + random() * 17_500;
      rests(call, "sleeps");
    }
    if (fault(rates.freeze)) {
      call.at = now + random() * (random() < 0.6 ? SHORT_FREEZE_MS : LONG_FREEZE_MS);
      rests(call, "freezes");
    }
  }

  function rests({ host, label, at }: Call, subject: string): void {
    setBack(at);
    const text = `${subject} after ${label} for ${Math.round(at - now)} ms`;
    note(`${host.name} ${text}`);
    tell(host.name, text);
  }

  function answer(call: Call): void {
    pending = pending.filter((entry) => entry !== call);
    if (call.answer && "error" in call.answer) call.reject(call.answer.error);
    else call.resolve(call.answer?.value);
  }

  /** By `then` alone: an `await` for each tick makes more than twice the garbage. */
  function settled(): Promise<void> {
    const before = moves;
    let most = MOST_TICKS;
    let more = MORE_TICKS;
    return new Promise((resolve) => {
      function tick(): void {
        if (most > 0 && moves === before) most -= 1;
        else more -= 1;
        if (more < 0) resolve();
        else void atOnce.then(tick);
      }
      tick();
    });
  }

  return {
    time: () => now,
    advanceTo: (time, isAsleep) => {
      if (isAsleep) asleepMs += Math.max(0, time - now);
      now = Math.max(now, time);
    },
    awake: () => now - asleepMs,
    random,
    pick: (from) => from[Math.floor(random() * from.length)] as (typeof from)[number],
    newHost(name, offsetMs) {
      const host: Host = {
        name,
        offsetMs,
        clock: { now: () => Math.round(now + host.offsetMs), monotonic: () => Math.round(now), sleep: nobodySleeps },
        tasks: 0,
        life: 0,
      };
      return host;
    },
    call: (host, label, effect, afterMs = 0) => {
      return new Promise((resolve, reject) => {
        const late = fault(rates.late) ? random() * LATE_MS : 0;
        const at = now + afterMs + late;
        if (late > 0) setBack(at);
        pending.push({ host, label, effect, resolve: resolve as Call["resolve"], reject, answer: undefined, at });
        moves += 1;
      });
    },
    start(host, label, work, ended) {
      const { life } = host;
      host.tasks += 1;
      note(`${host.name} begins ${label}`);
      const over = (failed: boolean) => {
        if (host.life !== life) return;
        host.tasks -= 1;
        moves += 1;
        ended(failed);
      };
      work().then(
        () => over(false),
        () => over(true),
      );
    },
    ready() {
      let count = 0;
      for (const { at } of pending) if (at <= now) count += 1;
      return count;
    },
    nextAt: () => pending.reduce<number | undefined>((at, call) => Math.min(at ?? call.at, call.at), undefined),
    async step() {
      const ready = pending.filter((call) => call.at <= now);
      const call = ready[Math.floor(random() * ready.length)];
      if (!call) return;
      now += random() * latencyMs;
      made += 1;
      if (call.answer === undefined) {
        await happen(call);
        note(`${call.host.name} ${call.label}${"error" in (call.answer ?? {}) ? " fails" : ""}`);
        if (fault(rates.crash)) return crash(call.host);
      }
      if (call.at <= now) answer(call);
      await settled();
    },
    settled,
    crash,
    setRates: (next) => {
      rates = next;
      calmSince = next === calm ? now - asleepMs : Number.POSITIVE_INFINITY;
    },
    calmSince: () => calmSince,
    rates: () => rates,
    calls: () => made,
    setBackAt: () => setBackAt,
    setBack,
    note,
    tell,
  };
}

/** Only requests that wait do, and clients here ask again instead. */
async function nobodySleeps(): Promise<void> {
  throw new Error("Nothing that the simulator runs may sleep");
}

/** The read after which a worker knows what it shall make. */
function isLastRead({ label }: Call): boolean {
  return /^get .*#(?:spec|disk)\|(?!-$)/.test(label);
}
