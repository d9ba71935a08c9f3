import type { PlantedBug } from "./plant.ts";

export const environmentBugs: readonly PlantedBug[] = [
  {
    name: "a resize measured by the run that is being stopped",
    caughtBy: {
      file: "environments/record/changes/resize.test.ts",
      title: "during a stop, the size of a remembered start is the limit",
    },
    edits: [
      {
        file: "environments/record/changes/resize.ts",
        find: "environment.goal.start?.size ?? environment.size",
        replace: "environment.size",
      },
    ],
  },
  {
    name: "names from wire ids",
    edits: [
      {
        file: "environments/steps/start/make-run.ts",
        find: "    uid: environment.uid,\n",
        replace: "    uid: environment.id,\n",
      },
      {
        file: "environments/steps/observe-run.ts",
        find: '{ uid, run }: Pick<Environment, "uid" | "run">,',
        replace: '{ id: uid, run }: Pick<Environment, "id" | "run">,',
      },
    ],
  },
  {
    name: "terminal left",
    edits: [
      {
        file: "environments/verbs/actions.ts",
        find: 'if ("pk" in decided) return { ...decided, dueAt, looks: 0 };',
        replace: 'if ("pk" in decided) return (await ctx.table.put({ ...decided, dueAt, looks: 0 })) ?? decided;',
      },
    ],
  },
  {
    name: "compute that disappeared is made again",
    edits: [
      {
        file: "environments/steps/start/preparing.ts",
        find: "return environment.run.appliedAt === null ? makeRun(ctx, environment, now) : markRunMissing(ctx, environment, now);",
        replace: "return makeRun(ctx, environment, now);",
      },
    ],
  },
  {
    name: "a run that became ready in an outage ended as not ready",
    edits: [
      {
        file: "environments/steps/deadlines.ts",
        find: "return environment.run.applyingAt === null ? readyLimit(environment, settings) : undefined;",
        replace: "return readyLimit(environment, settings);",
      },
      {
        file: "environments/record/run/unseen.ts",
        find: "unseen: { ms: (unseen?.ms ?? 0) + ms, runMs: (unseen?.runMs ?? 0) + ms },",
        replace: "unseen,",
      },
    ],
  },
  {
    name: "the end of an outage that each record finds by itself",
    caughtBy: {
      file: "reconciler/outage-end.test.ts",
      title: "jobs submitted during an outage of the cluster start together once one reconcile is answered",
    },
    edits: [
      {
        file: "reconciler/cluster-state.ts",
        find: "    await Promise.all(some.map((item, at) => send(item, first + at)));\n",
        replace: "",
      },
    ],
  },
  {
    name: "a grant withdrawn for time in which nobody looked",
    caughtBy: {
      file: "environments/steps/outages.test.ts",
      title: "an unbound run keeps its time to be bound, and releases nothing",
    },
    edits: [
      {
        file: "environments/record/run/unseen.ts",
        find: "run.appliedAt === null ? null : run.appliedAt + ms",
        replace: "run.appliedAt",
      },
    ],
  },
  {
    name: "the mark that a run is begun written after it",
    edits: [
      {
        file: "environments/steps/start/preparing.ts",
        find: "if (environment.run.applyingAt === null) {",
        replace: "if (environment.run.applyingAt === undefined) {",
      },
      {
        file: "environments/steps/start/make-run.ts",
        find: "run: { ...environment.run, appliedAt: now,",
        replace: "run: { ...environment.run, applyingAt: now, appliedAt: now,",
      },
    ],
  },
  {
    name: "one missing observation taken for a lost run",
    edits: [
      {
        file: "environments/steps/start/run-not-found.ts",
        find: "if (missedAt === null)\n    return requeueAt(",
        replace:
          'if (missedAt === null) return endRun(environment, now, "Its compute was deleted in the cluster, but not by Berth");\n  if (missedAt === 0)\n    return requeueAt(',
      },
    ],
  },
  {
    name: "half a list taken for gone",
    caughtBy: {
      file: "environments/steps/start/run-not-found.test.ts",
      title: "a run that the list of runs shows is not lost, however often it is not found by its name",
    },
    edits: [
      {
        file: "environments/steps/start/run-not-found.ts",
        find: "const listed = await ctx.compute.listRuns(uid);",
        replace: "const listed = (await ctx.compute.listRuns(uid)).slice(1);",
      },
    ],
  },
  {
    name: "a failed call taken for an answer",
    edits: [
      {
        file: "environments/steps/active.ts",
        find: "const observed = await observeRun(ctx, unmarked);",
        replace: "const observed = await observeRun(ctx, unmarked).catch(() => undefined);",
      },
      {
        file: "environments/steps/start/run-not-found.ts",
        find: "const listed = await ctx.compute.listRuns(uid);",
        replace: "const listed = await ctx.compute.listRuns(uid).catch(() => []);",
      },
    ],
  },
  {
    name: "an extension that moves no end",
    edits: [
      {
        file: "environments/verbs/actions.ts",
        find: "times.endsAt + extraMs",
        replace: "times.endsAt",
      },
    ],
  },
  {
    name: "an extension of a job that waits forgotten",
    edits: [
      {
        file: "environments/verbs/actions.ts",
        find: "size: { ...environment.size, wantedMs },\n      times",
        replace:
          "size: environment.times.endsAt === null ? environment.size : { ...environment.size, wantedMs }, times",
      },
    ],
  },
  {
    name: "an earlier run not looked for after a start",
    caughtBy: {
      file: "environments/verbs/restart.test.ts",
      title: "late objects of an earlier run are removed although a later one runs",
    },
    edits: [
      {
        file: "environments/steps/step.ts",
        find: "environment.run.leftoversAt !== null &&",
        replace: "environment.run.leftoversAt === 0 &&",
      },
    ],
  },
  {
    name: "a specification that nobody opens any more tried for ever",
    caughtBy: {
      file: "environments/record/spec.test.ts",
      title: "a job whose specification was sealed with another key fails at once with that reason",
    },
    edits: [
      {
        file: "environments/steps/start/make-run.ts",
        find: "if (error instanceof WrongSeal) return undefined;",
        replace: "if (error === WrongSeal) return undefined;",
      },
    ],
  },
  {
    name: "a start that goes on with the run before",
    edits: [
      { file: "environments/verbs/restart.ts", find: "n: environment.run.n + 1,", replace: "n: environment.run.n," },
    ],
  },
  {
    name: "idle decided although an exec runs",
    edits: [
      {
        file: "environments/steps/auto-stop.ts",
        find: "lastUsedAt, busyUntil, sessions, seenAt",
        replace: "lastUsedAt, busyUntil: null, sessions, seenAt",
      },
    ],
  },
  {
    name: "a command that began on one of two machines taken for a run that began",
    edits: [
      {
        file: "environments/steps/start/revoke-grant.ts",
        find: "observed?.started && isWhole(environment, observed)",
        replace: "observed?.started",
      },
    ],
  },
  {
    name: "a run removed for being unbound that is bound by now",
    caughtBy: {
      file: "environments/steps/life.test.ts",
      title:
        "a run that binds while its grant is being withdrawn continues: its command runs once, and its disk is backed up",
    },
    edits: [
      {
        file: "environments/steps/start/revoke-grant.ts",
        find: "    unlessBound: true,\n",
        replace: "",
      },
    ],
  },
  {
    name: "idle decided by the signals of an outage",
    caughtBy: {
      file: "environments/steps/auto-stop.test.ts",
      title:
        "an environment used during an outage is not stopped by the first check after it, and an unused one is by the next",
    },
    edits: [
      {
        file: "environments/record/changes/idle.ts",
        find: "now - decidedAt > 2 * everyMs",
        replace: "now < decidedAt",
      },
    ],
  },
];
