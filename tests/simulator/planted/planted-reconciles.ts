import type { PlantedBug } from "./plant.ts";

export const reconcileBugs: readonly PlantedBug[] = [
  {
    name: "a hint that lost its writes is sent as an ordinary look",
    caughtBy: {
      file: "reconciler/reconcile.test.ts",
      title: "a hint whose reconcile lost every write is retried a second later",
    },
    edits: [{ file: "reconciler/reconcile.ts", find: "...(message.hint && { isHint: true }),", replace: "" }],
  },
  {
    name: "what a hint led to sent as a hint, which does not come back where it is early",
    caughtBy: {
      file: "reconciler/reconcile.test.ts",
      title: "marks an immediate message after a hint, and no others",
    },
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: "isFromHint: next.isFromHint && wait",
        replace: "isHint: next.isFromHint && wait",
      },
    ],
  },
  {
    name: "what a step does is tried again at once when it fails",
    caughtBy: {
      file: "disks/removal.test.ts",
      title: "is retried after seconds and not at once if no worker removes it in time",
    },
    edits: [{ file: "reconciler/reconcile.ts", find: "hasActed ? 0 : ACT_PAUSE_MS", replace: "0" }],
  },
  {
    name: "a listing believed however old it is",
    caughtBy: {
      file: "environments/steps/skip-observation.test.ts",
      title: "a listing older than 75 s is not trusted, and a change that it lacks is seen",
    },
    edits: [
      { file: "environments/record/run/observation-digest.ts", find: " || now - seen.at > MOST_OLD_MS", replace: "" },
    ],
  },
  {
    name: "a listing taken for one of the moment at which it was over",
    caughtBy: {
      file: "environments/steps/skip-observation.test.ts",
      title: "the age of a listing counts from its start, however long it takes",
    },
    edits: [
      {
        file: "pools/capacity/capacity.ts",
        find: "writeRunMarks(ctx, listed, listedAt)",
        replace: "writeRunMarks(ctx, listed, Math.max(ctx.clock.now(), listedAt))",
      },
    ],
  },
  {
    name: "a listing that is older than a change believed after its signal",
    caughtBy: {
      file: "environments/steps/skip-observation.test.ts",
      title: "a change that a hinted reconcile did not handle is observed by the next one",
    },
    edits: [
      {
        file: "environments/steps/active.ts",
        find: "run: { ...knownEnvironment.run, mark: undefined }",
        replace: "run: knownEnvironment.run",
      },
    ],
  },
  {
    name: "a signal answered from a listing",
    caughtBy: {
      file: "environments/steps/skip-observation.test.ts",
      title: "a hint makes a reconcile observe, regardless of the listing",
    },
    edits: [
      {
        file: "environments/steps/active.ts",
        find: "if (!isSignal && !isLeaving && (await",
        replace: "if (isSignal !== null && (await",
      },
    ],
  },
  {
    name: "the machines of a run compared one by one",
    caughtBy: {
      file: "environments/steps/skip-observation.test.ts",
      title: "a changed state of one of two machines makes a reconcile observe",
    },
    edits: [
      {
        file: "environments/record/run/observation-digest.ts",
        find: "const texts = machines.map(",
        replace: "const texts = machines.slice(0, 1).map(",
      },
    ],
  },
  {
    name: "limits given up by a signal",
    caughtBy: {
      file: "environments/record/changes/resize.test.ts",
      title: "limits that cannot be changed now are not given up sooner because of signals",
    },
    edits: [
      {
        file: "environments/record/changes/resize.ts",
        find: "  if (resizing && now < resizing.nextAt) return undefined;\n",
        replace: "",
      },
    ],
  },
  {
    name: "a conflict acknowledged",
    edits: [
      { file: "reconciler/reconcile.ts", find: 'if (!record) return "again";', replace: 'if (!record) return "over";' },
    ],
  },
  {
    name: "no step budget",
    edits: [
      {
        file: "reconciler/budget.ts",
        find: "STEP_BUDGET_MS = 20_000",
        replace: "STEP_BUDGET_MS = Number.POSITIVE_INFINITY",
      },
    ],
  },
  {
    name: "a look at what is not due goes on",
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: "if (early > 0 && !shouldProcessEarly(item, message)) return",
        replace: "if (early > 0 && early < 0 && !shouldProcessEarly(item, message)) return",
      },
    ],
  },
  {
    name: "the loser of a write sends the next message",
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: 'if (!record) return "again";',
        replace:
          'if (!record) {\n    await sendAfter(ctx, key, step.record, step, { leastMs: 0, isFromHint: false });\n    return "over";\n  }',
      },
    ],
  },
  {
    name: "an end decided on an old read",
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: "const record = await writeStep(ctx, step);",
        replace: "const record = step.record;\n  await ctx.table.put(record);",
      },
    ],
  },
  {
    name: "idle decision on a stale head",
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: "const record = await writeStep(ctx, step);",
        replace:
          'const isIdle = item.phase === "active" && (step.record as unknown as Item).reason === "auto-stop";\n  const head = isIdle ? ((await ctx.table.get(key)) ?? item) : item;\n  const record = await writeRecord(ctx, { ...step.record, writers: head.writers });',
      },
    ],
  },
  {
    name: "a sweep without its cursor",
    edits: [
      {
        file: "reconciler/sweep.ts",
        find: "const after = Math.max(sentUpTo(cursor, now), overdue.to);",
        replace: "const after = overdue.to;",
      },
    ],
  },
  {
    name: "a sweep that repeats nothing that is overdue",
    edits: [
      {
        file: "reconciler/sweep.ts",
        find: "isBehind ? [overdue, ahead] : [overdue]",
        replace: "isBehind ? [ahead] : []",
      },
    ],
  },
  {
    name: "the failed path does not ask the limit",
    caughtBy: {
      file: "environments/steps/deadlines.test.ts",
      title: "an end that is due while its steps fail is decided to the second",
    },
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: 'const isEnvironment = kindOfKey(item) === "environment";',
        replace: 'const isEnvironment = kindOfKey(item) === "inbox";',
      },
    ],
  },
  {
    name: "a message that names nothing taken for a failure",
    caughtBy: {
      file: "reconciler/reconcile.test.ts",
      title: "ends messages for unknown keys and missing records at once",
    },
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: '    ctx.log.error("unknown key in message", { look: message.look.slice(0, 200) });\n    return;',
        replace: '    throw new Error("unknown key in message");',
      },
    ],
  },
  {
    name: "a hint under the not-due rule",
    caughtBy: {
      file: "environments/steps/costs.test.ts",
      title: "a hint shows the end of a command minutes before the next reconcile",
    },
    edits: [
      {
        file: "environments/steps/step.ts",
        find: 'if (message.hint) return item.kind === "disk" || (item.kind === "environment" && hasRun(item));',
        replace: "if (message.hint) return false;",
      },
    ],
  },
  {
    name: "a hint that saw nothing new is written",
    caughtBy: {
      file: "environments/steps/costs.test.ts",
      title: "a hint without news costs one read of the record, no write and no message",
    },
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: "if (early > 0 && message.hint && isNoop(item, step.record))",
        replace: "if (early > 0 && message.hint && early < 0)",
      },
    ],
  },
  {
    name: "a hint believed instead of a look",
    caughtBy: {
      file: "environments/steps/costs.test.ts",
      title: "the end of a command is seen within five minutes without a hint",
    },
    edits: [{ file: "environments/steps/active.ts", find: "now + EVERY_MS, ", replace: "" }],
  },
  {
    name: "a log copied at every look, whether it grew or not",
    caughtBy: {
      file: "environments/steps/costs.test.ts",
      title: "a hint without news costs one read of the record, no write and no message",
    },
    edits: [
      {
        file: "environments/steps/end/log.ts",
        find: "return isNews || isLogWanted(environment, now) ? copied : environment;",
        replace: "return isNews || isLogWanted(environment, now) || copied ? copied : environment;",
      },
    ],
  },
  {
    name: "a log that is kept only as its run is removed",
    caughtBy: {
      file: "environments/steps/end/log.test.ts",
      title: "is kept when another reconcile of the end finds the run already removed",
    },
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "const kept = left && (await keepLastLog(",
        replace: "const kept = left && removedAt !== null && (await keepLastLog(",
      },
    ],
  },
  {
    name: "a log that is kept before its command has ended",
    caughtBy: {
      file: "environments/steps/end/end-command.test.ts",
      title: "contains the output after SIGTERM of a cancelled command",
    },
    edits: [
      {
        file: "environments/steps/end/end-command.ts",
        find: "const waits = await endCommand(ctx, environment, seen, now);",
        replace: "const waits = lacksLastLog(environment) ? undefined : await endCommand(ctx, environment, seen, now);",
      },
    ],
  },
  {
    name: "a command is waited for without an end",
    caughtBy: {
      file: "environments/steps/end/end-command.test.ts",
      title: "is kept without the last output of a command that cannot get SIGTERM",
    },
    edits: [
      {
        file: "environments/steps/end/end-command.ts",
        find: "const terminatedAt = run.terminatedAt ?? now;",
        replace: "const terminatedAt = now;",
      },
    ],
  },
  {
    name: "the last output of an evicted command is copied only once its pod may be gone",
    caughtBy: {
      file: "environments/steps/end/end-command.test.ts",
      title: "is copied each second until the pod is gone, which takes the log along",
    },
    edits: [
      {
        file: "environments/steps/end/end-command.ts",
        find: "requeueAt(await copyLog(ctx, stopping, now), now + COPIED_EVERY_MS",
        replace: "requeueAt(stopping, now + COPIED_EVERY_MS",
      },
    ],
  },
  {
    name: "the gate of the sweep counts delayed messages",
    caughtBy: {
      file: "reconciler/sweep.test.ts",
      title: "are sent once for records due within three minutes, delayed to the second, rounded up",
    },
    edits: [
      {
        file: "reconciler/sweep.ts",
        find: "const isDeep = visible > deepest;",
        replace: "const isDeep = visible + delayed > deepest;",
      },
    ],
  },
  {
    name: "a sweep that stops while the queue is deep",
    caughtBy: {
      file: "reconciler/sweep.test.ts",
      title: "sends only records overdue by more than three minutes, oldest first, at most 1,000 a run",
    },
    edits: [
      {
        file: "reconciler/sweep.ts",
        find: "const sent = isDeep ? await sendOldest(ctx, sweep) :",
        replace: "const sent = isDeep ? 0 :",
      },
    ],
  },
  {
    name: "a cursor from a wrong clock believed",
    caughtBy: {
      file: "reconciler/sweep.test.ts",
      title: "ignore a cursor from a clock a day ahead, and accept one from a clock a second ahead",
    },
    edits: [
      {
        file: "reconciler/sweep.ts",
        find: "at <= now + SWEEP_REACH_MS + CLOCKS_APART_MS ? at",
        replace: "at > 0 ? at",
      },
    ],
  },
  {
    name: "each signal one more attempt of a step that fails",
    caughtBy: {
      file: "reconciler/reconcile.test.ts",
      title: "hints while the cluster is away do not lengthen the backoff",
    },
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: "(attempts > 0 && getAttempts(after) > attempts) || ",
        replace: "",
      },
    ],
  },
  {
    name: "the last signal of a flood dropped",
    caughtBy: {
      file: "reconciler/forward-events.test.ts",
      title: "a run that changes constantly is reconciled every two seconds, and once more after its last change",
    },
    edits: [{ file: "reconciler/forward-events.ts", find: "delayMs > PAUSE_MS", replace: "delayMs > 0" }],
  },
  {
    name: "what was offered to a former run taken for what its owner waits for",
    caughtBy: {
      file: "pools/plan/planner.test.ts",
      title: "an environment stopped before it took its grant is granted again as soon as it restarts",
    },
    edits: [{ file: "pools/plan/planner.ts", find: ", ...(pool.offered[record.uid] ?? [])]", replace: "]" }],
  },
];
