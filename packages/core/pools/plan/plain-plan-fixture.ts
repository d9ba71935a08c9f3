import { fixZone } from "./new-machines.ts";
import { plainPlaces } from "./plain-places-fixture.ts";
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
import type { Plan, PlanInput, PlannedGrant } from "./plan.ts";
import { endTime, goneAt } from "./reservation.ts";

/** Plans a pool without shortcuts. Must return the same as `plan`. */
export function plainPlan(input: PlanInput): Plan {
  const { nodes, unpinned } = plainNodes(input);
  const { now, closed, used = new Map() } = input;
  const units = new Map<string, number>();
  for (const { owner, shares } of input.occupied) for (const share of shares) addTo(units, owner, share.units);
  const shares: PlainShare[] = [];
  const addShare = (node: number, many: number, endsAt: number) =>
    shares.push({ number: shares.length, node, units: many, endsAt: goneAt(endsAt, now) });
  for (const occupied of input.occupied) {
    for (const share of occupied.shares) {
      const node = share.node === null ? unpinned.get(share) : nodes.findIndex(({ name }) => name === share.node);
      if (node !== undefined && node >= 0) addShare(node, share.units, endTime(occupied, input));
    }
  }
  const grants: PlannedGrant[] = [];
  const created = new Map<string, number>();
  const left: PlainJob[] = [];
  let reserved: (PlainReservation & { uid: string; after: number }) | undefined;
  let [unpinnedLeft, kept] = [input.mostUnpinned ?? Infinity, 0];
  let jobs = plainJobs(input);
  const before = jobs.find(({ uid }) => uid === input.head);
  for (let job = plainFirst(jobs, before, units, used); job; job = plainFirst(jobs, before, units, used)) {
    const { uid, need, owner, size } = job;
    jobs = jobs.filter((job) => job.uid !== uid);
    const endsAt = now + size.wantedMs;
    const passes = plainPasses(reserved, nodes, need, endsAt);
    const isOpen = plainOpen(nodes, endsAt);
    const fits = plainFits(nodes, input, job);
    const mayMake = unpinnedLeft - kept >= need.machines;
    const found = plainFind(
      nodes,
      need,
      (node, zone) => (mayMake || nodes[node]?.name !== null) && passes(node, zone) && isOpen(node, zone),
    );
    if (!fits || closed || !found) {
      left.push(job);
      if (!fits || reserved) continue;
      if (!closed && plainFind(nodes, need, isOpen)) kept = need.machines;
      const start = plainReserve(nodes, shares, job, { now, notBefore: -Infinity });
      reserved = start && { ...start, uid, after: grants.length };
      continue;
    }
    for (const node of found.nodes) {
      (nodes[node] as PlainNode).free -= need.units;
      if (nodes[node]?.zone === null && found.zone !== null)
        nodes[node] = { ...fixZone(nodes[node], found.zone), free: nodes[node].free };
      addShare(node, need.units, endsAt);
      if (nodes[node]?.name === null) unpinnedLeft -= 1;
    }
    addTo(units, owner, need.machines * need.units);
    const where = { ...(found.zone !== null && { zone: found.zone }), ...(found.group && { group: found.group }) };
    const [machine = -1] = found.nodes;
    if (nodes[machine]?.name === null && found.zone === null) created.set(uid, machine);
    const toShare = (name: string | null) => ({ node: name, units: need.units, ...(name === null && where) });
    grants.push({
      uid,
      shares: found.nodes.map((node) => toShare(nodes[node]?.name ?? null)),
    });
  }
  const withZones = grants.map((grant) => {
    const machine = created.get(grant.uid) ?? -1;
    const { zone, zones } = nodes[machine] ?? { zone: null };
    const offered = zone === null ? zones : [zone];
    return offered ? { ...grant, created: { machine, zones: offered } } : grant;
  });
  return {
    grants: withZones,
    grantsBefore: reserved?.after ?? grants.length,
    ...plainPlaces(input, { nodes, grants, shares, left, units, unpinnedLeft, reserved: reserved?.uid ?? null }),
  };
}
