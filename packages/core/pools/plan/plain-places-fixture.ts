import { canEverFit, withoutForeign } from "./ever-fits.ts";
import { type Need, freeUnits as toFreeUnits } from "./free-units.ts";
import {
  addTo,
  type PlainJob,
  type PlainNode,
  type PlainShare,
  plainFind,
  plainFirst,
  plainFits,
  plainNodes,
  plainOpen,
  plainOpenInput,
} from "./plain-pool-fixture.ts";
import type { Plan, PlanInput, Waiting } from "./plan.ts";
import { startTimes } from "./reservation.ts";

const noSize = { machines: 1, units: 1 };

/** Returns the places of jobs without a grant. */
export function plainPlaces(
  input: PlanInput,
  found: {
    readonly nodes: readonly PlainNode[];
    readonly grants: Plan["grants"];
    readonly shares: readonly PlainShare[];
    readonly left: readonly PlainJob[];
    readonly units: Map<string, number>;
    readonly unpinnedLeft: number;
    readonly reserved: string | null;
  },
): Omit<Plan, "grants" | "grantsBefore"> {
  const { nodes, left, units } = found;
  const { unreadable = 0, closed, used = new Map() } = input;
  const fits = (need: Need) => canEverFit(nodes, input, need);
  const fitsInTime = (job: PlainJob) => plainFits(nodes, input, job);
  const ends = [...(input.closings?.keys() ?? []), Infinity];
  const latestEnd = (need: Need) =>
    Math.max(
      ...ends.filter((at) => plainFits(nodes, { ...input, now: 0 }, { need, size: { ...noSize, wantedMs: at } })),
    );
  const getClosing = (job: PlainJob) => {
    const { need, size } = job;
    if (!fitsInTime(job)) return fits(need) ? latestEnd(need) : undefined;
    if (!plainFind(nodes, need) || plainFind(nodes, need, plainOpen(nodes, input.now + size.wantedMs)))
      return undefined;
    return Math.max(...ends.filter((at) => plainFind(nodes, need, plainOpen(nodes, at))));
  };
  const unread = { name: "", units: input.unitsPerNode };
  const isUnread = (job: PlainJob) => {
    const { need } = job;
    if (fitsInTime(job) || unreadable === 0) return false;
    const open = plainOpenInput(input, input.now + job.size.wantedMs);
    const all = ["", ...open.nodes.map((node) => node.zone), ...open.makeable.flatMap((group) => group.zones)];
    const zones = need.zone === null && need.machines > 1 ? all : [need.zone];
    return zones.some((zone) => {
      const more = Array.from({ length: unreadable }, () => ({ ...unread, zone: zone ?? "" }));
      const nodes = [...open.nodes, ...more];
      return canEverFit([{ name: "", zone: "", free: 0 }], { ...open, nodes }, { ...need, zone });
    });
  };
  const isDrained = ({ need }: PlainJob) => {
    const { undrained } = input;
    if (!undrained || plainFind(nodes, need)) return false;
    const open = { ...input, ...undrained };
    const all = plainNodes({ ...open, occupied: [...input.occupied, ...found.grants] }).nodes;
    return plainFind(all, need) !== undefined || (!fits(need) && canEverFit(all, open, need));
  };
  const isKept = left.some((job) => job.uid === input.head && isUnread(job));
  const head = isKept ? input.head : found.reserved;
  const able: PlainJob[] = [];
  let jobs = left.filter(fitsInTime);
  const first = jobs.find(({ uid }) => uid === head);
  for (let job = plainFirst(jobs, first, units, used); job; job = plainFirst(jobs, first, units, used)) {
    const next = job;
    jobs = jobs.filter((job) => job !== next);
    addTo(units, job.owner, job.need.machines * job.need.units);
    able.push(job);
  }
  const releases = found.shares
    .toSorted((a, b) => a.endsAt - b.endsAt || a.number - b.number)
    .map(({ endsAt, node, units: many }) => ({ at: endsAt, node, units: many }));
  const waiting = able.map((job) => input.waiting.find(({ uid }) => uid === job.uid) as Waiting);
  const openTo = (at: number) => plainOpen(nodes, at);
  const starts = startTimes(waiting, releases, toFreeUnits(nodes), { now: input.now, latestEnd, openTo });
  const others = left.filter((job) => !fitsInTime(job)).toSorted((a, b) => a.rank - b.rank);
  const ordered = [...others.filter(({ uid }) => uid === head), ...able, ...others.filter(({ uid }) => uid !== head)];
  const frees = nodes.map(({ free }) => free).filter((free) => free > 0);
  const [total, largest] = [frees.reduce((sum, free) => sum + free, 0), Math.max(0, ...frees)];
  const places = ordered.map((job, index) => {
    const { uid, need } = job;
    const whole = need.machines * need.units;
    const say = (code: Plan["places"][number]["code"], available: number, needed = whole) => {
      return { uid, position: index + 1, startsAt: closed ? null : (starts.get(uid) ?? null), code, needed, available };
    };
    if (closed) return say(closed, 0);
    if (isUnread(job)) return say("unreadable", nodes.length);
    if (isDrained(job)) return say("partDrained", 0);
    const closing = getClosing(job);
    if (closing !== undefined) return say("closing", closing);
    if (nodes.length === 0) return say("none", 0);
    const foreign = input.nodes.reduce((sum, node) => sum + (node.foreign ?? 0), 0);
    if (!fits(need) && canEverFit(nodes, { ...input, nodes: input.nodes.map(withoutForeign) }, need))
      return say("foreign", foreign);
    if (!fits(need)) return say("never", nodes.length);
    const isNear =
      !need.zone || input.makeable.some(({ zones }) => zones.length === 0 || zones.includes(need.zone ?? ""));
    const inZone = need.zone ? (input.lackingZones?.get(need.zone) ?? 0) : 0;
    const retryAt = Math.max(input.retryAt ?? 0, inZone);
    if (retryAt > 0 && isNear && !plainFind(nodes, need)) {
      const known = starts.get(uid);
      const startsAt = input.retryAt ? known : Math.min(known ?? Infinity, retryAt + input.startupMs);
      return { ...say("unmade", retryAt), startsAt: startsAt ?? null };
    }
    if (total < whole) return say("short", total);
    if (largest < need.units) return say("split", largest, need.units);
    if (plainFind(nodes, need, (node) => nodes[node]?.name !== null)) return say("behind", total);
    if (!plainFind(nodes, need)) return say("elsewhere", total);
    return say(found.unpinnedLeft < need.machines ? "making" : "behind", total);
  });
  const shown = nodes.flatMap(({ free, isLacking }) => (isLacking || free === 0 ? [] : [free]));
  const freeUnits = shown.reduce((sum, free) => sum + free, 0);
  return { places, head, freeUnits, mostFree: shown.toSorted((a, b) => b - a).slice(0, 8) };
}
