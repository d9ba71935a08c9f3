import type { PlantedBug } from "./plant.ts";

/** Mistakes about machines that end at a time, and about machines that AWS lacks. */
export const capacityBugs: readonly PlantedBug[] = [
  {
    name: "the end of a block not counted in a grant",
    edits: [
      {
        file: "pools/admission/admission.ts",
        find: ".filter((plan) => plan.type === type)",
        replace: ".filter((plan) => plan.type === type && !plan.byProvider)",
      },
    ],
  },
  {
    name: "the moved end of a block not planned anew",
    edits: [
      {
        file: "pools/capacity/group-ends.ts",
        find: "(end) => texts.get(toText(end)) ?? end",
        replace:
          "(end) => before.find(({ nodeGroup }) => nodeGroup === end.nodeGroup) ?? texts.get(toText(end)) ?? end",
      },
    ],
  },
  {
    name: "machines that a block has still to get taken for some that stay",
    edits: [
      {
        file: "pools/plan/planned-drains.ts",
        find: "return { closings: new Map(closings), makeableCloseAt,",
        replace: "return { closings: new Map(closings), makeableCloseAt: makeableCloseAt.slice(0, 0),",
      },
      {
        file: "pools/capacity/pool-parts.ts",
        find: "const drained = members.filter((member) => isGroupIn(parts, member));",
        replace: "const drained = members.slice(0, 0);",
      },
    ],
  },
];
