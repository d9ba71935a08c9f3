import type { PlantedBug } from "./plant.ts";

const day = { people: 40, days: 1 };

/** Mistakes that need a long queue or many users. */
export const populationBugs: readonly PlantedBug[] = [
  {
    name: "who holds most comes first",
    population: day,
    edits: [{ file: "pools/plan/fair-order.ts", find: "a.units - b.units ||", replace: "b.units - a.units ||" }],
  },
  {
    name: "what an owner holds does not count",
    caughtBy: {
      file: "pools/plan/plan.test.ts",
      title: "the owner who holds the least comes first, then the longest wait, then the smaller uid",
    },
    edits: [
      {
        file: "pools/plan/plan.ts",
        find: "const usage = new Map(unitsByOwner(input.occupied));",
        replace: "const usage = new Map(unitsByOwner([]));",
      },
    ],
  },
  {
    name: "a plan considers the first fifty of those who wait",
    population: day,
    edits: [
      {
        file: "pools/ledger/waiting-list.ts",
        find: "candidates: all.flatMap(([, { entries }]) => entries.slice(0, share)),",
        replace: "candidates: all.flatMap(([, { entries }]) => entries.slice(0, share)).slice(0, 50),",
      },
    ],
  },
  {
    name: "only the first twenty are told when they start",
    population: day,
    edits: [
      { file: "pools/forecast/advice.ts", find: "of advice.places) {", replace: "of advice.places.slice(0, 20)) {" },
    ],
  },
  {
    name: "what was used is kept by environment",
    population: day,
    edits: [
      {
        file: "pools/ledger/usage.ts",
        find: "for (const { owner, shares, at } of returned) {",
        replace: "for (const { owner, uid, shares, at } of returned) {",
      },
      { file: "pools/ledger/usage.ts", find: "item?.set(owner, (", replace: "item?.set(uid, (" },
    ],
  },
  {
    name: "a machine is set aside for ever",
    caughtBy: {
      file: "pools/plan/planner.test.ts",
      title: "grants a machine that was set aside as soon as its time is over, not at the next minute",
    },
    edits: [
      {
        file: "pools/plan/plan-input.ts",
        find: "ready && !gone && asideUntil <= now",
        replace: "ready && !gone && asideUntil === 0",
      },
    ],
  },
  {
    name: "a machine that is no longer set aside is noticed at the next minute",
    caughtBy: {
      file: "pools/plan/planner.test.ts",
      title: "grants a machine that was set aside as soon as its time is over, not at the next minute",
    },
    edits: [
      {
        file: "pools/plan/head-after-plan.ts",
        find: "seen.length > 0 ? asideMs(ledger, now) : IDLE_MS",
        replace: "IDLE_MS",
      },
    ],
  },
  {
    name: "a sweep finds one of each shard",
    population: day,
    edits: [
      { file: "reconciler/sweep.ts", find: "const MOST_PER_SHARD = 2_000;", replace: "const MOST_PER_SHARD = 1;" },
    ],
  },
  {
    name: "what ended is kept for ever",
    caughtBy: {
      file: "environments/steps/end/retention.test.ts",
      title: "the newest 1,000 of 1,100 ended environments are kept, and the others leave nothing",
    },
    edits: [
      {
        file: "environments/steps/end/retention.ts",
        find: "  for (const item of older.items) await removeEnded(ctx, environment.pk, item);\n",
        replace: "  if (older.items.length < 0) await removeEnded(ctx, environment.pk, older.items[0] as Item);\n",
      },
    ],
  },
];
