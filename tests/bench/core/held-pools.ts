import type { Occupied, PlanInput, PlanNode, Waiting } from "#core/pools/plan/plan.ts";
import { seededRandom } from "../../fixtures/random.ts";

const hourMs = 3_600_000;
const unitsPerNode = 8;
const zones = ["zone-a", "zone-b", "zone-c"];
const sizes = [
  [1, 1],
  [1, 2],
  [1, 4],
  [1, 8],
  [2, 8],
] as const;

export interface PoolSize {
  readonly nodes: number;
  /** Holdings of one GPU each. The pool is full when all GPUs are held. */
  readonly held: number;
  readonly waiting: number;
  readonly owners: number;
}

/** Builds a pool whose GPUs are held one by one while larger jobs wait for whole nodes, some pinned to a zone. */
export function heldPool({ nodes, held, waiting, owners }: PoolSize): PlanInput {
  const random = seededRandom(1);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const owner = () => `owner-${Math.floor(random() * owners)}`;
  return {
    nodes: Array.from({ length: nodes }, (_, n): PlanNode => {
      return { name: `node-${n}`, zone: zones[n % zones.length] ?? "", units: unitsPerNode };
    }),
    occupied: Array.from({ length: held }, (_, n): Occupied => {
      const wantedMs = pick([1, 4, 24]) * hourMs;
      const endsAt = Math.ceil(random() * wantedMs);
      const shares = [{ node: `node-${Math.floor(n / unitsPerNode) % nodes}`, units: 1 }];
      return { owner: owner(), shares, endsAt, at: endsAt - wantedMs, size: { wantedMs } };
    }),
    waiting: Array.from({ length: waiting }, (_, n): Waiting => {
      const [machines, units] = pick<readonly [number, number]>(sizes);
      const zone = random() < 0.3 ? pick(zones) : null;
      const size = { machines, units, wantedMs: pick([1, 4, 24]) * hourMs };
      return { uid: `uid-${n}`, owner: owner(), size, zone, queuedAt: n - waiting };
    }),
    makeable: [],
    unitsPerNode,
    startupMs: 0,
    head: null,
    used: new Map(),
    now: 0,
  };
}
