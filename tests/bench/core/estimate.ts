import { type Forecast, forecast } from "#core/pools/forecast/forecast.ts";
import { type Arrival, addRun, type Durations, noDurations } from "#core/pools/forecast/workload.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { type Estimated, playWorkload, type Workload } from "./estimates.ts";
import { heldPool, type PoolSize } from "./held-pools.ts";

const seeds = [1, 2, 3];
const rounds = 3;
const most = { uncovered: 15, error: 15, cpuMs: 1_000 };

/** Long enough that a busy machine cuts no forecast short. */
const unhurriedMs = 60_000;
const clock = { monotonic: () => performance.now() };

/** About the full load of eight nodes with eight GPUs. */
const workloads = [false, true].flatMap((endsEarly) =>
  [1, 12, 20].map((owners) => ({ owners, endsEarly, nodes: 8, jobs: 600, hours: endsEarly ? 95 : 155 })),
);

const large = { nodes: 1_000, held: 8_000, waiting: 2_000, owners: 40 };
const largest = { nodes: 10_000, held: 80_000, waiting: 2_000, owners: 40 };

/** First estimates compared with actual starts, and the cost of the forecast. */
export const estimate: Measure = {
  name: "estimate",
  run: async () => [
    ...workloads.flatMap(listErrors),
    getCost("16 runs to the end", large, most.cpuMs, unhurriedMs),
    getCost("what a second reaches", largest, 1.1 * most.cpuMs),
  ],
};

function listErrors(workload: Omit<Workload, "seed">): Row[] {
  const estimated = seeds.flatMap((seed) => playWorkload({ ...workload, seed }));
  const ends = workload.endsEarly ? "jobs end early" : "jobs take all their time";
  const name = `${workload.owners} owner${workload.owners > 1 ? "s" : ""}, ${ends}`;
  const part = (isSo: (estimated: Estimated) => boolean) =>
    Math.round((100 * estimated.filter(isSo).length) / estimated.length);
  const waits = estimated.map((estimated) => (estimated.startedAt - estimated.at) / 3_600_000);
  const errors = estimated.map(
    (estimated) => (100 * Math.abs(estimated.startedAt - estimated.p50)) / (estimated.startedAt - estimated.at),
  );
  const note = `${estimated.length} waited, median ${median(waits).toFixed(1)} h`;
  return [
    {
      name: `started later than promised: ${name}`,
      value: part((estimated) => estimated.startedAt > estimated.latest),
      unit: "%",
      limit: most.uncovered,
      note: `${note}; ${part((estimated) => estimated.startedAt > estimated.p90)} % before widening`,
    },
    { name: `median error of the wait: ${name}`, value: median(errors), unit: "%", limit: most.error, note },
  ];
}

function getCost(title: string, size: PoolSize, limit: number, budgetMs?: number): Row {
  const plan = heldPool(size);
  const times: number[] = [];
  let last: Forecast | undefined;
  for (let round = 0; round <= rounds; round++) {
    const begun = process.cpuUsage();
    last = forecast({ plan, durations, arrivals, seed: round, clock, ...(budgetMs ? { budgetMs } : {}) });
    const { user, system } = process.cpuUsage(begun);
    if (round > 0) times.push((user + system) / 1000);
  }
  const knownLength = last?.waiting.filter(({ p90 }) => p90 !== null).length ?? 0;
  const note = `CPU, median of ${rounds}; both times known for ${knownLength} of ${size.waiting}`;
  const name = `forecast of ${size.nodes} nodes, ${size.held} held: ${title}`;
  return { name, value: median(times), unit: "ms", limit, note };
}

const arrivals = Array.from({ length: 100 }, (_, n): Arrival => {
  const size = { machines: 1, units: 2 ** (n % 4), wantedMs: 4 * 3_600_000 };
  return { at: (n - 100) * 120_000, owner: `owner-${n % 40}`, size, zone: null };
});

const durations = Array.from({ length: 400 }, (_, n) => n).reduce<Durations>(
  (knownDurations, n) => addRun(knownDurations, { owner: `owner-${n % 9}`, tookMs: (n % 23) / 20, wantedMs: 1 }),
  noDurations,
);
