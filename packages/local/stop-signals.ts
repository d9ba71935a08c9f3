const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"] as const;

type StopSignal = (typeof stopSignals)[number];

interface StopSignals {
  readonly first: Promise<StopSignal>;
  next(withinMs: number): Promise<StopSignal | undefined>;
}

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
