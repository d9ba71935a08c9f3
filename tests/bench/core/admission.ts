import { type PlanInput, type PlanNode, plan, type Waiting } from "#core/pools/plan/plan.ts";
import { seededRandom } from "../../fixtures/random.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { heldPool } from "./held-pools.ts";

const nodeCount = 1_000;
const waitingCount = 10_000;
const ownerCount = 500;
const limitMs = 100;
const rounds = 7;
const hourMs = 3_600_000;
const zones = ["zone-a", "zone-b", "zone-c"];

interface Shape {
  /** Machines and GPUs per machine of the requests, chosen at random. */
  readonly sizes: readonly (readonly [machines: number, units: number])[];
  /** Share of waiting requests whose disk pins them to a zone. */
  readonly pinned: number;
  readonly occupied: number;
  /** A zone without free units, to which all pinned requests belong. */
  readonly fullZone?: string;
}

const whole = [[1, 8]] as const;
const mixed = [...([1, 2, 4, 8] as const).map((units) => [1, units] as const), [2, 8] as const];

const shapes = {
  "whole nodes, half of them in use": { sizes: whole, pinned: 0, occupied: 0.5 },
  "whole nodes, all in use": { sizes: whole, pinned: 0, occupied: 1 },
  "mixed sizes": { sizes: mixed, pinned: 0, occupied: 0.5 },
  "mixed sizes, all zones pinned": { sizes: mixed, pinned: 1, occupied: 0.5 },
  "whole nodes, all pinned to a full zone": { sizes: whole, pinned: 1, occupied: 0, fullZone: "zone-a" },
} as const satisfies Record<string, Shape>;

/** Pools whose units are held one by one, with as many waiting requests as one plan reads. */
const pools = [
  { nodes: 1_000, held: 8_000, waiting: 2_000, owners: 40, limit: 100 },
  { nodes: 1_000, held: 7_900, waiting: 2_000, owners: 40, limit: 100 },
  { nodes: 10_000, held: 80_000, waiting: 2_000, owners: 40, limit: 1_000 },
  { nodes: 10_000, held: 79_000, waiting: 2_000, owners: 40, limit: 1_000 },
];

/** Time of the pure function, with 10,000 requests of 500 owners on 1,000 nodes, and in pools with many holdings. */
export const admission: Measure = {
  name: "admission",
  run: async () => [
    ...Object.entries(shapes).map(([name, shape]) => toRow(`admission of 10,000: ${name}`, buildInput(shape), limitMs)),
    ...pools.map((pool) => toRow(formatTitle(pool), heldPool(pool), pool.limit)),
  ],
};

function formatTitle({ nodes, held, waiting }: (typeof pools)[number]): string {
  return `plan of ${nodes} nodes, ${held} held, ${waiting} waiting`;
}

function toRow(name: string, input: PlanInput, limit: number): Row {
  plan(input);
  const times: number[] = [];
  let granted = 0;
  for (let round = 0; round < rounds; round++) {
    const begun = process.cpuUsage();
    granted = plan(input).grants.length;
    const { user, system } = process.cpuUsage(begun);
    times.push((user + system) / 1000);
  }
  const note = `CPU, median of ${rounds}; ${granted} granted`;
  return { name, value: median(times), unit: "ms", limit, note };
}

function buildInput({ sizes, pinned, occupied, fullZone }: Shape): PlanInput {
  const random = seededRandom(1);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const nodes = Array.from(
    { length: nodeCount },
    (_, n): PlanNode => ({ name: `node-${n}`, zone: zones[n % zones.length] ?? "", units: 8 }),
  );
  const waiting = Array.from({ length: waitingCount }, (_, n): Waiting => {
    const [machines, units] = pick<readonly [number, number]>(sizes);
    const size = { machines, units, wantedMs: (1 + Math.floor(random() * 24)) * hourMs };
    const zone = random() < pinned ? (fullZone ?? pick(zones)) : null;
    return { uid: `uid-${n}`, owner: `owner-${n % ownerCount}`, size, zone, queuedAt: n };
  });
  const inUse = nodes
    .filter(({ zone }, n) => zone === fullZone || n < nodeCount * occupied)
    .map(({ name }, n) => ({
      owner: `owner-${n % ownerCount}`,
      shares: [{ node: name, units: 4 }],
      endsAt: Math.floor(random() * 24 * hourMs),
      at: 0,
      size: { wantedMs: 24 * hourMs },
    }));
  const group = { makeable: [], unitsPerNode: 8, startupMs: 0, head: null, now: 0 };
  return { nodes, occupied: inUse, waiting, ...group };
}
