import type { PlantedBug } from "./plant.ts";

/** Mistakes with machines that are lost, wrongly reported, or return. */
export const machineBugs: readonly PlantedBug[] = [
  {
    name: "a machine is lost whatever its provider says",
    edits: [
      {
        file: "environments/steps/lost-node.ts",
        find: "return await ctx.compute.getMachineState(machine);",
        replace: 'return "gone";',
      },
    ],
  },
  {
    name: "a job starts on a machine that its provider takes back",
    caughtBy: {
      file: "environments/steps/interruption.test.ts",
      title: "a grant on a machine that was interrupted since is not taken",
    },
    edits: [
      {
        file: "environments/steps/start/take-grant.ts",
        find: "pinned.some((node) => currentInterruption(node, now))",
        replace: "pinned.length > pinned.length",
      },
    ],
  },
  {
    name: "an interruption of which the jobs there learn at their next regular reconcile",
    caughtBy: {
      file: "environments/steps/interruption.test.ts",
      title: "a Spot interruption warns the owner in the timeline and the terminals, two minutes ahead",
    },
    edits: [
      {
        file: "pools/capacity/machine-notice.ts",
        find: "Promise.all([planSoon(ctx, node.type), hintHolders(ctx, [read])])",
        replace: "planSoon(ctx, node.type)",
      },
    ],
  },
  {
    name: "one missing node object taken for a lost machine",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title: "one reading without the node object decides nothing, and a machine that returns was never lost",
    },
    edits: [
      {
        file: "environments/steps/lost-node.ts",
        find: "missing: 10_000, notReady: 300_000",
        replace: "missing: 0, notReady: 300_000",
      },
    ],
  },
  {
    name: "a lost machine is never let go",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title: "a machine without a node object for 10 s is lost if its provider confirms that, and its job fails",
    },
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "force: mayForce(ctx, environment, lost, now),",
        replace: "force: mayForce(ctx, environment, lost, now) && run < 0,",
      },
    ],
  },
  {
    name: "units of a lost machine given again",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title: "the units of a lost machine are never granted, however old the last listing is",
    },
    edits: [
      {
        file: "pools/ledger/reconcile-ledger.ts",
        find: "(silent.has(node.uid) ?",
        replace: "(silent.has(node.name) ?",
      },
    ],
  },
  {
    name: "volumes taken by force from a machine that runs",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title: "a volume that is still attached without its run is detached by force only from a lost machine",
    },
    edits: [
      {
        file: "environments/steps/lost-node.ts",
        find: "  if (lost) await Promise.all(attached",
        replace: "  await Promise.all(attached",
      },
    ],
  },
  {
    name: "the operator's word never ends",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title: "the operator's declaration applies to one node object, for 24 h, even if the machine seems to answer",
    },
    edits: [{ file: "pools/capacity/node-gone.ts", find: "WORD_MS = DAY_MS", replace: "WORD_MS = 100 * DAY_MS" }],
  },
  {
    name: "a node's name reused",
    caughtBy: {
      file: "pools/capacity/bad-nodes.test.ts",
      title: "does not grant a node's units again under a new uid before the record releases them",
    },
    edits: [{ file: "pools/capacity/pool-nodes.ts", find: " || node.uid !== mine.node.uid", replace: "" }],
  },
  {
    name: "a machine with another label is another machine",
    caughtBy: {
      file: "pools/capacity/bad-nodes.test.ts",
      title: "counts a machine that is listed twice under two names once",
    },
    edits: [
      {
        file: "pools/capacity/pool-nodes.ts",
        find: "for (const node of nodes) claim(owners, { pool: type, node });",
        replace: "for (const node of nodes.slice(0, 0)) claim(owners, { pool: type, node });",
      },
    ],
  },
  {
    name: "the machine of a run unknown until a look sees it bound",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title: "a disk is released although its machine died before any reconcile saw the run bound to it",
    },
    edits: [
      {
        file: "environments/steps/start/take-grant.ts",
        find: "machines: listMachines({ nodes }), groups",
        replace: "machines: [], groups",
      },
    ],
  },
  {
    name: "the machine of a run unknown until it is ready",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title: "a disk is released although the machine created for its run died during the preparation",
    },
    edits: [
      {
        file: "environments/steps/start/preparing.ts",
        find: "...onItsMachines(moved, observed), looks",
        replace: "...moved, looks",
      },
    ],
  },
  {
    name: "stopped although a machine still has its volumes",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title:
        "a restartable environment stops only once its volume is detached from a machine that vanished with its pod",
    },
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "await detachOwn(ctx, environment, now);",
        replace: "undefined;",
      },
    ],
  },
  {
    name: "an extension put off until the machine answers",
    caughtBy: {
      file: "environments/steps/life.test.ts",
      title: "an extension holds although the machine of the active run is silent at the time of the request",
    },
    edits: [
      {
        file: "environments/steps/active.ts",
        find: "const extended = await extendRun(ctx, environment, now);",
        replace:
          "const isSilent = environment.run.machines.some(({ silent }) => silent);\n  const extended = isSilent ? environment : await extendRun(ctx, environment, now);",
      },
    ],
  },
  {
    name: "the operator's word refused for a machine that only has a volume",
    caughtBy: {
      file: "environments/steps/lost-node.test.ts",
      title: "the operator's declaration applies to a machine without runs that still has a volume",
    },
    edits: [
      {
        file: "pools/capacity/node-gone.ts",
        find: "[...unpinned, ...waiting.map(keyText)]",
        replace: "unpinned",
      },
    ],
  },
];
