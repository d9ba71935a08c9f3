import type { PlantedBug } from "./plant.ts";

/** Mistakes about machines whose changes the watch shows, and about groups that have not started. */
export const listingBugs: readonly PlantedBug[] = [
  {
    name: "a listing of some machines taken for one of all",
    edits: [
      {
        file: "pools/capacity/write-listing.ts",
        find: "names.has(name) && !gone",
        replace: "(names.has(name) || names.size > 0) && !gone",
      },
    ],
  },
  {
    name: "a machine whose GPUs are back unknown until the schedule lists it",
    edits: [
      {
        file: "pools/capacity/write-listing.ts",
        find: "if (isReplaced(listing) || findNew(ctx, listing, nodes).length > 0) return",
        replace: "if (isReplaced(listing)) return",
      },
    ],
  },
  {
    name: "a machine that replaced another of its name unknown until the next listing",
    edits: [
      {
        file: "pools/capacity/write-listing.ts",
        find: "  await beginGroupPools(ctx, pools, poolGroups.keys());\n  if (isReplaced(listing)) return",
        replace: "  await beginGroupPools(ctx, pools, poolGroups.keys());\n  if (listing.listed.length < 0) return",
      },
    ],
  },
  {
    name: "a listing that lost a race taken for one that was written",
    edits: [
      {
        file: "pools/capacity/write-machines.ts",
        find: "return raced === 0;",
        replace: "return raced >= 0;",
      },
    ],
  },
  {
    name: "a listing that lost a race left to the schedule",
    caughtBy: {
      file: "reconciler/watch-costs.test.ts",
      title: "a machine whose item a plan writes during one listing is known after the next",
    },
    edits: [
      {
        file: "reconciler/machine-listing.ts",
        find: "inPart < MOST_IN_PART",
        replace: "inPart < MOST_IN_PART - 2",
      },
    ],
  },
  {
    name: "machines of a Capacity Block granted before its start",
    edits: [
      {
        file: "pools/capacity/machine-groups.ts",
        find: "=> startsAt <= now;",
        replace: "=> startsAt <= Math.max(now, startsAt);",
      },
    ],
  },
  {
    name: "a Capacity Block that starts within the hour taken for one that has started",
    edits: [
      {
        file: "pools/plan/summary.ts",
        find: "startsAt <= now).map((member) => describe(member));",
        replace: "startsAt <= now + 3_600_000).map((member) => describe(member));",
      },
    ],
  },
];
