import type { Operation } from "#core/admin/operation.ts";
import type { EstimateErrors } from "#core/pools/forecast/calibration.ts";
import type { Pool } from "#core/pools/ledger/record.ts";
import { emptyTally, waitBounds } from "#core/pools/ledger/run-outcomes.ts";
import { type Family, histogramSamples, type Sample } from "#http/answers/prometheus.ts";

export function metricFamilies(operation: Operation, now: number): Family[] {
  const { depths, pools, unreadable, lagMs, orphans } = operation;
  return [
    gauge("berth_queue_messages", "Messages that a worker could receive now, by queue.", [
      { labels: { queue: "work" }, value: depths.work.visible },
      { labels: { queue: "pools" }, value: depths.pools.visible },
    ]),
    gauge("berth_queue_delayed_messages", "Messages whose delay is not over.", [
      { labels: { queue: "work" }, value: depths.work.delayed },
    ]),
    gauge("berth_reconcile_lag_seconds", "How overdue the record is that waits longest for its look.", [
      { value: lagMs / 1000 },
    ]),
    gauge("berth_cluster_reachable", "Whether the cluster answered when its machines were listed last: 0 or 1.", [
      { value: operation.isClusterReachable ? 1 : 0 },
    ]),
    gauge("berth_jobs", "Jobs that wait for capacity or hold it, by phase.", pools.flatMap(phaseSamples)),
    gauge("berth_capacity_units", "GPUs, or machines without GPUs, by state.", pools.flatMap(unitSamples)),
    gauge("berth_admission_open", "Whether new jobs are started: 0 while drained or paused.", ofEach(pools, openness)),
    gauge("berth_ledger_unreadable", "Records that cannot be read of those that decide who has capacity.", [
      ...ofEach(pools, ({ summary }) => summary.unreadableItems),
      ...unreadable.map((type) => ({ labels: { gpu_type: type }, value: 1 })),
    ]),
    histogram("berth_queue_wait_seconds", "From submit until capacity was taken.", pools.flatMap(waitSamples)),
    counter("berth_jobs_ended_total", "Jobs that gave capacity back; failures by reason.", pools.flatMap(endSamples)),
    counter(
      "berth_plans_total",
      "Plans made.",
      ofEach(pools, ({ plans }) => plans),
    ),
    gauge(
      "berth_plan_age_seconds",
      "Since the latest plan.",
      ofEach(pools, ({ summary }) => (now - summary.plannedAt) / 1000),
    ),
    ...estimateFamilies(operation.estimateErrors),
    gauge("berth_orphan_runs", "Compute without a living record.", orphans ? [{ value: orphans.runCount }] : []),
    counter("berth_orphans_removed_total", "Compute removed because its record had ended or was missing.", [
      { value: orphans?.removedCount ?? 0 },
    ]),
    gauge("berth_lost_records", "Records without their compute.", orphans ? [{ value: orphans.recordCount }] : []),
    counter("berth_orphan_gpu_hours_total", "GPU-hours used by compute without a living record, where known.", [
      { value: orphans?.gpuHours ?? 0 },
    ]),
  ];
}

function family(type: Family["type"]) {
  return (name: string, help: string, samples: readonly Sample[]): Family => ({ name, help, type, samples });
}

const gauge = family("gauge");
const counter = family("counter");
const histogram = family("histogram");

function ofEach(pools: readonly Pool[], value: (pool: Pool) => number): Sample[] {
  return pools.map((pool) => ({ labels: { gpu_type: pool.type }, value: value(pool) }));
}

function phaseSamples({ type, summary }: Pool): Sample[] {
  const { waiting, granted, preparing, active, stopping } = summary;
  const phases = { waiting: waiting - granted, granted, preparing, active, stopping };
  return Object.entries(phases).map(([phase, count]) => ({
    labels: { gpu_type: type, phase },
    value: Math.max(0, count),
  }));
}

function unitSamples({ type, summary: { total, inUse, free, waitingUnits, unreadable } }: Pool): Sample[] {
  const states = { total, in_use: inUse, free, wanted: waitingUnits, unreadable };
  return Object.entries(states).map(([state, value]) => ({ labels: { gpu_type: type, state }, value }));
}

/** Omits a type without starts: 0 would claim perfect estimates. */
function estimateFamilies(errors: readonly EstimateErrors[]): Family[] {
  const ofEachType = (value: (errors: EstimateErrors) => number) =>
    errors.map((error) => ({ labels: { gpu_type: error.type }, value: value(error) }));
  return [
    gauge(
      "berth_estimate_starts",
      "Latest starts, at most 200, whose estimate the next two judge.",
      ofEachType(({ starts }) => starts),
    ),
    gauge(
      "berth_estimate_covered_ratio",
      "Share of those starts no later than the latest that was told first.",
      ofEachType(({ covered }) => covered),
    ),
    gauge(
      "berth_estimate_median_error_ratio",
      "Median distance of the estimated from the real start, as a share of the real wait.",
      ofEachType(({ medianError }) => medianError),
    ),
  ];
}

function openness({ closed }: Pool): number {
  return closed ? 0 : 1;
}

function waitSamples({ type, tally = emptyTally }: Pool): Sample[] {
  return histogramSamples(
    { gpu_type: type },
    { bounds: waitBounds, counts: tally.waits, sum: Math.round(tally.waitedSeconds * 1000) / 1000 },
  );
}

/** `failed:image` is status failed, reason image; others have no reason. */
function endSamples({ type, tally = emptyTally }: Pool): Sample[] {
  return Object.entries(tally.ends).map(([word, value]) => {
    const [status = "", reason = ""] = word.split(":");
    return { labels: { gpu_type: type, status, reason }, value };
  });
}
