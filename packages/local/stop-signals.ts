const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"] as const;

type StopSignal = (typeof stopSignals)[number];

/** The signals that stop a stack. */
interface StopSignals {
  readonly first: Promise<StopSignal>;
  /** Returns the next signal from now on, or undefined if none comes in time. */
  next(withinMs: number): Promise<StopSignal | undefined>;
}

/** Takes over the signals that would end this process. */
export function followStopSignals(): StopSignals {
  const { promise: first, resolve } = Promise.withResolvers<StopSignal>();
  let onSignal = resolve;
  for (const name of stopSignals) process.on(name, () => onSignal(name));
  return {
    first,
    next: (withinMs) =>
      new Promise((done) => {
        onSignal = done;
        setTimeout(done, withinMs, undefined);
      }),
  };
}
