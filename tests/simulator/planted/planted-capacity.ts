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
    caughtBy: {
      file: "pools/capacity/group-ends.test.ts",
      title: "a group whose end moves closes at the new time, and keeps it until the group is deleted",
    },
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
        find: "return { makeable, closings: new Map(closings),",
        replace: "return { makeable: groups, closings: new Map(closings),",
      },
      {
        file: "pools/capacity/pool-parts.ts",
        find: "const drained = members.filter((member) => isGroupIn(parts, member));",
        replace: "const drained = members.slice(0, 0);",
      },
    ],
  },
  {
    name: "the machines of a group promised in the zones of all groups",
    edits: [
      {
        file: "pools/plan/summary.ts",
        find: "return { ...machines, count, ...lacksNow(member.zones) };",
        replace: "return { ...machines, count, zones, ...lacksNow(zones) };",
      },
    ],
  },
  {
    name: "the parts of one new machine promised in two zones",
    caughtBy: {
      file: "pools/plan/plan.test.ts",
      title: "the parts of one new machine are promised in one zone only",
    },
    edits: [
      {
        file: "pools/plan/admit.ts",
        find: "mayCome: nodes.some(({ zone }) => zone === null) ? mayCome : undefined,",
        replace: "mayCome: nodes.length < 0 ? mayCome : undefined,",
      },
    ],
  },
  {
    name: "a run blamed for a machine that another waiting run may have",
    caughtBy: {
      file: "pools/capacity/shortage.test.ts",
      title: "a try does not count while another run that waits for a machine may have the only one that came",
    },
    edits: [
      {
        file: "pools/plan/revocation-cause.ts",
        find: "withRoom.length - countMachines(rivals) >=",
        replace: "withRoom.length - 0 * countMachines(rivals) >=",
      },
    ],
  },
  {
    name: "the pause of a zone ended as the other groups got full",
    caughtBy: {
      file: "pools/capacity/machine-groups.test.ts",
      title: "the pause of a zone stays while the other groups get full",
    },
    edits: [
      {
        file: "pools/capacity/group-lacks.ts",
        find: "return zoneLacks?.[zone] ?? (zones.includes(zone) ? lacks : undefined);",
        replace: "return zoneLacks?.[zone] ?? (zones.length < 0 ? lacks : undefined);",
      },
    ],
  },
  {
    name: "machines that a group lacked lately shown as free",
    caughtBy: {
      file: "pools/capacity/machine-groups.test.ts",
      title: "counts no machine of a group that lacks machines as available, also after the pause",
    },
    edits: [{ file: "pools/plan/plan.ts", find: "free: node.isLacking ? 0 : ", replace: "free: " }],
  },
  {
    name: "machines of one job taken from several node groups although one has enough",
    caughtBy: {
      file: "pools/plan/one-group.test.ts",
      title: "the machines of one job are of one node group, if one has enough",
    },
    edits: [{ file: "pools/plan/free-units.ts", find: "return [...named, { zone }];", replace: "return [{ zone }];" }],
  },
  {
    name: "a node group named again after it made no machine",
    caughtBy: {
      file: "pools/capacity/group-zones.test.ts",
      title: "a job whose node group made no machine may get those of any group in its next try",
    },
    edits: [
      {
        file: "pools/plan/summary.ts",
        find: "...(isSelectable && !isShort && { isSelectable })",
        replace: "...(isSelectable && (isShort || !isShort) && { isSelectable })",
      },
    ],
  },
  {
    name: "a run that waits in the zone of its new disk counted on a machine of another",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "a job that waits for a new machine in the zone of its new disk uses no machine of another zone",
    },
    edits: [
      {
        file: "pools/admission/decide.ts",
        find: "return chosen === undefined ? shares :",
        replace: "return chosen !== '' ? shares :",
      },
    ],
  },
  {
    name: "a lack that is not noted, so no pause begins",
    edits: [
      {
        file: "environments/steps/start/revoke-grant.ts",
        find: '...(uncountedBecause?.why === "unmade" && lackingMachine(environment)),',
        replace: "",
      },
    ],
  },
  {
    name: "a try counted although AWS lacked the machine",
    edits: [
      {
        file: "pools/plan/revocation-cause.ts",
        find: 'if (run.lacks !== undefined) return { why: "unmade" };',
        replace: "if (run.lacks !== undefined) return undefined;",
      },
    ],
  },
  {
    name: "a pause between tries that never grows",
    edits: [
      {
        file: "pools/ledger/shortage.ts",
        find: "Math.min(LEAST_PAUSE_MS * 2 ** (count - 1), longest)",
        replace: "Math.min(LEAST_PAUSE_MS * 2 ** Math.min(count - 1, 0), longest)",
      },
    ],
  },
  {
    name: "a pause between tries that grows without a limit",
    edits: [
      {
        file: "pools/ledger/shortage.ts",
        find: "Math.min(LEAST_PAUSE_MS * 2 ** (count - 1), longest)",
        replace: "Math.max(LEAST_PAUSE_MS * 2 ** (count - 1), longest - longest)",
      },
    ],
  },
  {
    name: "a try that fails as a pause ends counted as the one before",
    caughtBy: {
      file: "pools/ledger/shortage.test.ts",
      title: "a try that fails during a pause waited with the one before, and one that fails as the pause ends is new",
    },
    edits: [
      {
        file: "pools/ledger/shortage.ts",
        find: "if (before && at < before.until) return before;",
        replace: "if (before && at <= before.until) return before;",
      },
    ],
  },
  {
    name: "a run that waits although AWS lacks its machine",
    edits: [
      {
        file: "environments/steps/start/preparing.ts",
        find: "if (lacks !== undefined && isUnpinned(environment)) return {};",
        replace: "",
      },
    ],
  },
];
