import type { Clock } from "#core/ports/clock.ts";

/** Probability of each fault at a port call. */
export interface FaultRates {
  readonly crash: number;
  readonly freeze: number;
  /** A worker sleeps within its budget between its last read and a create. */
  readonly sleepBeforeMaking: number;
  /** The call takes effect up to 5 s later. */
  readonly late: number;
  readonly errorBefore: number;
  /** The call takes effect, but its caller gets an error. */
  readonly errorAfter: number;
  readonly dropSend: number;
  readonly doubleSend: number;
  /** An SDK repeats a successful write after a lost answer, so the caller gets a conflict. */
  readonly ownRepeated: number;
  /** An observation of the cluster misses an existing run. */
  readonly blind: number;
  /** The table splits a batch, delays a call, or refuses it after a delay. */
  readonly throttle: number;
  /** A hint about a changed run is lost, doubled or late. */
  readonly loseSignal: number;
  readonly doubleSignal: number;
  readonly delaySignal: number;
}

export interface Host {
  readonly name: string;
  /** Difference between its wall clock and virtual time. */
  offsetMs: number;
  readonly clock: Clock;
  tasks: number;
  /** Number of crashes. Work from an earlier life is lost. */
  life: number;
}

interface Call {
  readonly host: Host;
  readonly label: string;
  readonly effect: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** The answer on its way. Undefined until the call takes effect. */
  answer: { readonly value?: unknown; readonly error?: unknown } | undefined;
  at: number;
}

export interface Scheduler {
  time(): number;
  /** `isAsleep` says that every host sleeps until then, so nothing can be observed. */
  advanceTo(time: number, isAsleep: boolean): void;
  /** Virtual time in ms, without times in which every host slept. */
  awake(): number;
  random(): number;
  pick<T>(from: readonly T[]): T;
  newHost(name: string, offsetMs: number): Host;
  /** Makes a port call. The scheduler decides when and whether it takes effect. */
  call<T>(host: Host, label: string, effect: () => Promise<T>, afterMs?: number): Promise<T>;
  /** Starts work on a host. Calls `ended` unless the host crashes first. */
  start(host: Host, label: string, work: () => Promise<void>, ended: (failed: boolean) => void): void;
  ready(): number;
  /** Time when the next sleeping call may continue. */
  nextAt(): number | undefined;
  step(): Promise<void>;
  /** Waits until all work is blocked on port calls. */
  settled(): Promise<void>;
  crash(host: Host): void;
  setRates(rates: FaultRates): void;
  rates(): FaultRates;
  /** Time (as `awake` counts) since which there are no new faults. Infinity while there may be. */
  calmSince(): number;
  calls(): number;
  /** Time of the last loss, failure, crash or sleep. Work that depended on it is late. */
  setBackAt(): number;
  setBack(until: number): void;
  /** Logs a call or fault for the full trace. */
  note(line: string): void;
  /** Logs a step of the story: who did what, and how it ended. */
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
/** Default for the longest duration of a call. Calls run one after another. */
const LATENCY_MS = 30;
/**
 * Twice the longest chain of awaits between two port calls. Turns of the event loop would take half of the run's time.
 */
const MOST_TICKS = 20;
/** Awaits for work beside the task that moved first. */
const MORE_TICKS = 4;
const atOnce = Promise.resolve();

/** Runs one schedule. The random numbers alone decide the order of calls and their faults. */
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
  /** Increases when a task makes a call or ends, which each answered call leads to unless its task waits for others. */
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

  /** Uses `then`, because an `await` for each tick makes more than twice the garbage. */
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

/** Only waiting requests sleep. Clients here repeat their request instead. */
async function nobodySleeps(): Promise<void> {
  throw new Error("Nothing that the simulator runs may sleep");
}

/** Reports whether a worker decides about creates after this read. */
function isLastRead({ label }: Call): boolean {
  return /^get .*#(?:spec|disk)\|(?!-$)/.test(label);
}

export function silent(): void {}
