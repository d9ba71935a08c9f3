import { HOUR_MS } from "../../units.ts";
import { type FoundGap, isLonger } from "../forecast/forecast-run.ts";
import type { Allowed, Need } from "./free-units.ts";
import {
  addTo,
  type PlainJob,
  type PlainNode,
  type PlainReservation,
  type PlainShare,
  plainFind,
  plainFirst,
  plainFits,
  plainJobs,
  plainNodes,
  plainOpen,
  plainPasses,
  plainReserve,
} from "./plain-pool-fixture.ts";
import type { PlanInput } from "./plan.ts";
import { endTime, goneAt, REMOVAL_MS } from "./reservation.ts";

interface PlainRunning {
  readonly owner: string;
  readonly at: number;
  readonly endsAt: number;
  readonly shares: readonly PlainShare[];
}

export interface PlainRunOptions {
  readonly coming: readonly Omit<PlainJob, "rank" | "need">[];
  readonly zones: readonly (string | null)[];
  readonly asked: readonly Need[];
  readonly until: number;
  tookMs(owner: string, wantedMs: number, spentMs: number): number;
}

/** Simulates one run. After each end or arrival, it tries all waiting jobs again in order. */
export function plainRun(input: PlanInput, { coming, zones, asked: needs, until, tookMs }: PlainRunOptions) {
  const { nodes, unpinned } = plainNodes(input);
  let now = input.now;
  let count = 0;
  const units = new Map<string, number>();
  const used = new Map(input.used);
  const startupMs = (node: number) => nodes[node]?.startupMs ?? input.startupMs;
  const readyAt = nodes.map(({ name }) => (name === null ? undefined : now));
  const running: PlainRunning[] = input.occupied.map((occupied) => {
    const endsAt = endTime(occupied, input);
    const startedAt = endsAt - occupied.size.wantedMs;
    const took = tookMs(occupied.owner, occupied.size.wantedMs, now - startedAt);
    const isOver = endsAt <= now;
    const shares = occupied.shares.flatMap((share): PlainShare[] => {
      addTo(units, occupied.owner, share.units);
      const node = share.node === null ? unpinned.get(share) : nodes.findIndex(({ name }) => name === share.node);
      if (node === undefined || node < 0) return [];
      if (share.node === null) readyAt[node] = occupied.endsAt === null ? occupied.at + startupMs(node) : now;
      return [{ number: count++, node, units: share.units, endsAt: isOver ? goneAt(endsAt, now) : endsAt }];
    });
    return { ...occupied, shares, endsAt: isOver ? goneAt(endsAt, now) : Math.max(now, startedAt + took) };
  });
  const first = plainJobs(input).length;
  const later = coming.map((entry, index) => ({
    ...entry,
    rank: first + index,
    need: { ...entry.size, zone: zones[index] ?? null },
  }));
  const jobs: PlainJob[] = [...plainJobs(input), ...later].filter((job) =>
    plainFits(nodes, { ...input, now: Math.max(job.comesAt, input.now) }, job),
  );
  const startsAt = new Map<PlainJob, number>();
  const roomAt = needs.map(() => Infinity);
  const gaps: FoundGap[][] = needs.map(() => []);
  let head = jobs.find(({ uid }) => uid === input.head);
  const readyOn = (found: readonly number[]) =>
    Math.max(now, ...found.map((node) => readyAt[node] ?? now + startupMs(node)));

  function begin(job: PlainJob, found: readonly number[]): void {
    const ready = readyOn(found);
    const shares = found.map((node) => ({
      number: count++,
      node,
      units: job.need.units,
      endsAt: ready + job.size.wantedMs,
    }));
    for (const { node, units: taken } of shares) {
      (nodes[node] as PlainNode).free -= taken;
      readyAt[node] ??= ready;
    }
    startsAt.set(job, ready);
    addTo(units, job.owner, job.need.machines * job.need.units);
    running.push({ owner: job.owner, at: now, shares, endsAt: ready + tookMs(job.owner, job.size.wantedMs, 0) });
  }

  function reserve(job: PlainJob): PlainReservation | undefined {
    const shares = running.flatMap((plainRunning) => plainRunning.shares);
    return plainReserve(nodes, shares, job, { now, notBefore: now + REMOVAL_MS });
  }

  function mayTake(need: Need, endsAt: number, reserved: PlainReservation | undefined): Allowed {
    const [passes, isOpen] = [plainPasses(reserved, nodes, need, endsAt), plainOpen(nodes, endsAt)];
    return (node, zone) => passes(node, zone) && isOpen(node, zone);
  }

  function admit(): void {
    let reserved: PlainReservation | undefined;
    let left = jobs.filter((job) => !startsAt.has(job) && job.comesAt <= now);
    for (let job = plainFirst(left, head, units, used); job; job = plainFirst(left, undefined, units, used)) {
      const tried = job;
      left = left.filter((job) => job !== tried);
      const found = plainFind(nodes, job.need, mayTake(job.need, now + job.size.wantedMs, reserved));
      if (found) begin(job, found.nodes);
      if (job === head && (found || !reserved)) head = undefined;
      if (found || reserved) continue;
      reserved = reserve(job);
      head = reserved && job;
    }
    for (const [index, need] of needs.entries()) {
      if (roomAt[index] !== Infinity) continue;
      const found = plainFind(nodes, need, mayTake(need, Infinity, reserved));
      if (found) roomAt[index] = readyOn(found.nodes);
      if (found) continue;
      const ends = [...(input.closings?.keys() ?? []), reserved?.startsAt ?? now].filter((at) => at > now);
      const fitting = ends.filter((endsAt) => plainFind(nodes, need, mayTake(need, endsAt, reserved)));
      const lastsMs = Math.max(...fitting) - now;
      const gap = plainFind(nodes, need, mayTake(need, now + lastsMs, reserved));
      if (gap && isLonger(gaps[index] ?? [], lastsMs)) gaps[index]?.push({ startsAt: readyOn(gap.nodes), lastsMs });
    }
  }

  admit();
  for (;;) {
    if (jobs.every((job) => startsAt.has(job) || job.rank >= first) && !roomAt.includes(Infinity)) break;
    const ends = running.filter(({ shares }) => shares.length > 0).map(({ endsAt }) => endsAt);
    const next = Math.min(...ends, ...jobs.map(({ comesAt }) => (comesAt > now ? comesAt : Infinity)));
    if (next === Infinity) break;
    if (next > until) return { jobs, startsAt, roomAt, gaps, wentTo: until };
    now = next;
    const weight = 2 ** ((now - input.now) / (24 * HOUR_MS));
    for (const plainRunning of running.filter(({ endsAt, shares }) => endsAt === now && shares.length > 0)) {
      for (const share of plainRunning.shares) {
        (nodes[share.node] as PlainNode).free += share.units;
        addTo(units, plainRunning.owner, -share.units);
        addTo(used, plainRunning.owner, ((share.units * Math.max(0, now - plainRunning.at)) / HOUR_MS) * weight);
      }
      running.splice(running.indexOf(plainRunning), 1);
    }
    admit();
  }
  return { jobs, startsAt, roomAt, gaps, wentTo: Infinity };
}
