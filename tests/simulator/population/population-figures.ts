/** A set of numbers with their percentiles and extremes. */
export interface Samples {
  add(value: number, subject?: string): void;
  count(): number;
  /** Returns the value at this share of the sorted values, or 0. */
  at(share: number): number;
  /** Lists the largest values with their subjects. */
  worst(count: number): string[];
}

export function newSamples(): Samples {
  const values: { readonly value: number; readonly what: string }[] = [];
  let isSorted = true;
  const sorted = () => {
    if (!isSorted) values.sort((a, b) => a.value - b.value);
    isSorted = true;
    return values;
  };
  return {
    add(value, subject = "") {
      values.push({ value, what: subject });
      isSorted = false;
    },
    count: () => values.length,
    at: (share) => sorted()[Math.min(values.length - 1, Math.floor(share * values.length))]?.value ?? 0,
    worst: (count) =>
      sorted()
        .slice(-count)
        .reverse()
        .map(({ value, what: subject }) => `${Math.round(value)} ms ${subject}`),
  };
}

/** Results of a simulated week. */
export interface Figures {
  readonly people: number;
  readonly days: number;
  readonly environments: number;
  readonly calls: number;
  readonly plans: number;
  readonly mostWaiting: number;
  /** GPU-hours: existing, used, free while a fitting environment waited, and held without an environment. */
  readonly gpuHours: {
    readonly there: number;
    readonly used: number;
    readonly idleWanted: number;
    readonly leaked: number;
  };
  /** Waits in the queue: of users with few and with many requests, and of each user's first request. */
  readonly waits: { readonly light: Samples; readonly heavy: Samples; readonly first: Samples };
  /** In quiet hours (ms): until a fitting environment is granted, and from the grant to its taking. */
  readonly granting: Samples;
  readonly taking: Samples;
  /** Differences between first estimates and actual starts, in ms. */
  readonly estimates: Samples;
  readonly estimatesMissing: number;
  /** Bytes of the largest item of each kind. */
  readonly largest: ReadonlyMap<string, number>;
  /** Writes and messages of a finished environment, minus the allowance for its hours. */
  readonly writes: Samples;
  readonly sends: Samples;
}

/** Lists figures that are too small to judge. Expects what 40 users produce in a day. */
export function tooFew(figures: Figures, badHours: number): string[] {
  const { waits, granting, taking, estimates, gpuHours } = figures;
  const met: [what: string, count: number, least: number][] = [
    ["environments", figures.environments, 150],
    ["most waiting", figures.mostWaiting, 100],
    ["waits with few jobs", waits.light.count(), 10],
    ["waits for a first job", waits.first.count(), 10],
    ["waits with many jobs", waits.heavy.count(), 50],
    ["grants in quiet hours", granting.count(), 50],
    ["grants taken in quiet hours", taking.count(), 50],
    ["estimates", estimates.count(), 50],
    ["GPU-hours used", Math.round(gpuHours.used), 100],
    ["bad hours", badHours, 0],
  ];
  return met.flatMap(([subject, count, least]) =>
    count > least ? [] : [`${subject}: ${count}, of more than ${least}`],
  );
}

const HOUR = 3_600_000;
const KB = 1024;

export function formatTable(figures: Figures): string[] {
  const { gpuHours, waits, granting, taking, estimates } = figures;
  const minutes = (samples: Samples, share: number) => (samples.at(share) / 60_000).toFixed(1);
  const seconds = (samples: Samples, share: number) => (samples.at(share) / 1000).toFixed(1);
  const wait = (samples: Samples) =>
    `p50 ${minutes(samples, 0.5)} p99 ${minutes(samples, 0.99)} min of ${samples.count()}`;
  const prompt = (samples: Samples) =>
    `p50 ${seconds(samples, 0.5)} p99 ${seconds(samples, 0.99)} s of ${samples.count()}; worst ${samples.worst(3).join(", ")}`;
  const largest = [...figures.largest].sort(([, a], [, b]) => b - a);
  const rows: [string, string][] = [
    ["people, days", `${figures.people}, ${figures.days}`],
    ["environments, calls", `${figures.environments}, ${figures.calls}`],
    ["plans, most waiting", `${figures.plans}, ${figures.mostWaiting}`],
    [
      "GPU-hours",
      `${Math.round(gpuHours.used)} used of ${Math.round(gpuHours.there)}, ${gpuHours.idleWanted.toFixed(1)} idle while wanted, ${gpuHours.leaked.toFixed(1)} leaked`,
    ],
    ["waits, few jobs", wait(waits.light)],
    ["waits, many jobs", wait(waits.heavy)],
    ["waits, first job", wait(waits.first)],
    ["freed to granted", prompt(granting)],
    ["granted to taken", prompt(taking)],
    [
      "estimate off by",
      `p50 ${minutes(estimates, 0.5)} p90 ${minutes(estimates, 0.9)} min of ${estimates.count()}, ${figures.estimatesMissing} without`,
    ],
    ["writes per life", `most ${figures.writes.at(1)}, p99 ${figures.writes.at(0.99)}`],
    ["messages per life", `most ${figures.sends.at(1)}, p99 ${figures.sends.at(0.99)}`],
    [
      "largest items",
      largest
        .map(([kind, bytes]) => `${kind} ${(bytes / KB).toFixed(1)}`)
        .join(", ")
        .concat(" KB"),
    ],
  ];
  return rows.map(([name, text]) => `${name.padEnd(20)} ${text}`);
}

export const unitHours = (units: number, ms: number) => (units * ms) / HOUR;
