import type { PlantedBug } from "./plant.ts";

/** Mistakes at the end of an environment: releases, removals and later reconciles. */
export const endBugs: readonly PlantedBug[] = [
  {
    name: "no looks after the end",
    edits: [
      {
        file: "environments/steps/end/finalize.ts",
        find: "CHECKS_AFTER_END_MS = [60_000, 600_000]",
        replace: "CHECKS_AFTER_END_MS: number[] = []",
      },
    ],
  },
  {
    name: "compute looked for no more once it was asked to go",
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "run: noteRemoval(observed.run, hasTombstones, now),",
        replace: "run: { ...noteRemoval(observed.run, hasTombstones, now), released: run },",
      },
    ],
  },
  {
    name: "end of life in another order",
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "if (left || removedAt === null) {",
        replace: "if ((left && !left.terminating) || removedAt === null) {",
      },
    ],
  },
  {
    name: "a request for access forgotten at the end",
    edits: [
      {
        file: "environments/steps/end/finalize.ts",
        find: "requeueAt(closeOwn(closed, now), now",
        replace: "requeueAt(closed, now",
      },
    ],
  },
  {
    name: "the stopped environment's volume removed",
    edits: [
      {
        file: "environments/steps/end/finalize.ts",
        find: "const cleared = clears ? await",
        replace: "const cleared = clears || environment.starts > 0 ? await",
      },
    ],
  },
  {
    name: "only the copy of a log removed that the record names",
    edits: [
      {
        file: "environments/steps/end/log.ts",
        find: "if (environment.hasCommand) await ctx.blobs.removeUnder(getCopies(environment));",
        replace: "if (environment.log?.blob) await ctx.blobs.remove(environment.log.blob);",
      },
    ],
    caughtBy: {
      file: "environments/steps/end/log.test.ts",
      title: "is not overwritten by a paused worker, because its late copy has another name",
    },
  },
  {
    name: "a zip that is whole after all listed as late",
    edits: [
      {
        file: "environments/steps/end/keep-archive.ts",
        find: "return isOvertaken ? { ...knownStoredArchive, blob, ...fields } : undefined;",
        replace:
          "return isOvertaken && knownStoredArchive.bytes < 0 ? { ...knownStoredArchive, blob, ...fields } : undefined;",
      },
    ],
    caughtBy: {
      file: "environments/verbs/delete.test.ts",
      title:
        "an archive that is complete after its minute is listed as such, although an earlier reconcile recorded it as late",
    },
  },
  {
    name: "a zip listed as late because nobody answered",
    edits: [
      {
        file: "environments/steps/end/keep-archive.ts",
        find: "  await endArchive(ctx, environment);",
        replace: "  await endArchive(ctx, environment).catch(() => undefined);",
      },
      {
        file: "environments/steps/end/keep-archive.ts",
        find: "const found = await ctx.volumes.findArchive(archive.blob);",
        replace: "const found = await ctx.volumes.findArchive(archive.blob).catch(() => undefined);",
      },
    ],
    caughtBy: {
      file: "environments/verbs/delete.test.ts",
      title: "an archive without an answer is not late, and its volume waits until its state is known",
    },
  },
  {
    name: "a zip cut short by the deletion that waits for it",
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "isArchiving(environment) ? undefined : await",
        replace: "await",
      },
    ],
    caughtBy: {
      file: "environments/verbs/delete.test.ts",
      title: "a slow archive is made of the volume that it holds, and is not ended before its minute is over",
    },
  },
  {
    name: "a zip begun before anything names it",
    edits: [
      {
        file: "environments/steps/end/keep-archive.ts",
        find: "if (!archive.named) return",
        replace: "if (archive.settled) return",
      },
    ],
    caughtBy: {
      file: "environments/verbs/delete.test.ts",
      title:
        "an archive ends although its worker died before its minute, its machine is lost and it never ends by itself",
    },
  },
  {
    name: "a machine that only zips a volume unknown to the operator's word",
    edits: [
      {
        file: "pools/capacity/node-gone.ts",
        find: "machines.find(({ silent }) => silent) ?? hosts[0] ?? machines[0]",
        replace: "machines.find(({ silent }) => silent) ?? machines[0]",
      },
    ],
    caughtBy: {
      file: "environments/verbs/delete.test.ts",
      title: "the operator's declaration applies to a machine that only an archive uses and no pool has",
    },
  },
  {
    name: "a zip listed as late while its last is sent",
    edits: [
      {
        file: "environments/steps/end/keep-archive.ts",
        find: "const held = isLate ? await detachOwn(ctx, environment, now) : undefined;",
        replace: "const held = undefined;",
      },
    ],
    caughtBy: {
      file: "environments/verbs/delete.test.ts",
      title: "an archive that completes while it is ended is kept, even of a stopped environment",
    },
  },
  {
    name: "a late archive begun once more",
    edits: [
      {
        file: "environments/steps/end/keep-archive.ts",
        find: "const status = isLate ? undefined : await begin(",
        replace: "const status = await begin(",
      },
    ],
    caughtBy: {
      file: "environments/verbs/delete.test.ts",
      title: "an archive past its minute is not begun again",
    },
  },
  {
    name: "the sealed specification kept",
    edits: [
      {
        file: "environments/record/spec.ts",
        find: "await Promise.all(page.items.map((item) => removeSecret(ctx, item)));",
        replace: "",
      },
    ],
  },
  {
    name: "the specification of a start that came to nothing kept",
    edits: [
      {
        file: "environments/record/spec.ts",
        find: "await Promise.all(page.items.map((item) => removeSecret(ctx, item)));",
        replace:
          "await Promise.all(page.items.filter(({ sk }) => sk === environment.spec).map((item) => removeSecret(ctx, item)));",
      },
    ],
  },
  {
    name: "release before 26 s",
    caughtBy: {
      file: "environments/steps/end/release.test.ts",
      title: "are released no earlier than 26 s after it left preparing",
    },
    edits: [
      { file: "environments/steps/end/release.ts", find: "LATE_START_MS = 26_000", replace: "LATE_START_MS = 0" },
    ],
  },
  {
    name: "GPUs given back at once without tombstones",
    edits: [
      {
        file: "environments/steps/end/release.ts",
        find: "return isNeeded ? { tombstones: environment.size.machines } : {};",
        replace: "return {};",
      },
      {
        file: "environments/steps/end/release.ts",
        find: "const startsRefused = hasTombstones || run.startsRefused;",
        replace: "const startsRefused = hasTombstones || true;",
      },
    ],
  },
  {
    name: "tombstones taken for left where the cluster left none",
    edits: [
      {
        file: "environments/steps/end/release.ts",
        find: "const startsRefused = hasTombstones || run.startsRefused;",
        replace: "const startsRefused = hasTombstones || true;",
      },
    ],
  },
  {
    name: "release by a clock that is ahead",
    caughtBy: {
      file: "environments/steps/end/release.test.ts",
      title: "are released no earlier if the next worker's clock is 17 s ahead",
    },
    edits: [{ file: "environments/steps/end/release.ts", find: "CLOCKS_MS = 17_000", replace: "CLOCKS_MS = 2_000" }],
  },
  {
    name: "expired where the run had completed",
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "const limitAt = end.outcome?.isLimit ? end.outcome.at : undefined;",
        replace: "const limitAt = end.outcome?.isLimit ? 0 : undefined;",
      },
    ],
  },
  {
    name: "a job that returns to the queue for its whole time",
    edits: [
      {
        file: "environments/steps/end/return-to-queue.ts",
        find: "const wantedMs = leftMs(environment, end.stoppingAt ?? now) + (placement.shortened?.ms ?? 0);",
        replace: "const wantedMs = leftMs(environment, 0) > 0 ? size.wantedMs : now;",
      },
    ],
  },
  {
    name: "a disk given back on the way to the queue",
    caughtBy: {
      file: "environments/steps/return-to-queue.test.ts",
      title: "a job that is cancelled after it was queued again is backed up",
    },
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "if (isReturningToQueue(environment))\n",
        replace: "if (isReturningToQueue(environment) && disk?.released !== false)\n",
      },
    ],
  },
  {
    name: "a job in the queue whose disk is still attached",
    caughtBy: {
      file: "environments/steps/return-to-queue.test.ts",
      title: "a job stays out of the queue until its disk is detached from the old machine",
    },
    edits: [
      {
        file: "environments/steps/end/return-to-queue.ts",
        find: "if (!volume?.attached) return undefined;",
        replace: "if (volume?.attached || !volume) return undefined;",
      },
    ],
  },
  {
    name: "a stop that leaves its request open",
    edits: [
      {
        file: "environments/steps/end/finalize.ts",
        find: 'closeActions(endExtensions(final, now), ["cancel"], now)',
        replace: 'closeActions(final, ["cancel"], now)',
      },
    ],
  },
  {
    name: "a look at an end that lets the command of several machines begin",
    caughtBy: {
      file: "environments/steps/start/begin.test.ts",
      title: "a command does not start once its end is decided",
    },
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "  const left = await observeRun(ctx, storedEnvironment);",
        replace: "  await ctx.compute.begin(uid, run);\n  const left = await observeRun(ctx, storedEnvironment);",
      },
    ],
  },
  {
    name: "a backup given up on one answer that none is possible",
    caughtBy: {
      file: "environments/steps/end/backup.test.ts",
      title: "a backup that was answered as impossible is made once it is possible, even without another job",
    },
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "...again, gaveUp: null }",
        replace: "...again, gaveUp: NO_BACKUPS }",
      },
    ],
  },
  {
    name: "an orphan removed at first sight",
    caughtBy: {
      file: "admin/orphans.test.ts",
      title: "removes runs whose record is missing or ended at the second reading, at least ten minutes later",
    },
    edits: [{ file: "admin/orphan-runs.ts", find: "const USELESS_MS = 600_000;", replace: "const USELESS_MS = 0;" }],
  },
  {
    name: "an unreadable orphan removed",
    caughtBy: {
      file: "store/unreadable.test.ts",
      title: "a run with an unreadable record is no orphan that may be removed",
    },
    edits: [
      {
        file: "admin/orphan-runs.ts",
        find: 'why: "its record cannot be read" }]',
        replace: 'why: "its record cannot be read", isUseless: true }]',
      },
    ],
  },
  {
    name: "what a cluster refuses to delete of a run taken for removed",
    caughtBy: {
      file: "admin/orphans.test.ts",
      title: "stay listed if the cluster refuses to delete them, and do not block others",
    },
    edits: [
      {
        file: "admin/orphan-runs.ts",
        find: "isLeftover(orphan) ? { ...how, leftovers: true } : how",
        replace: "how",
      },
    ],
  },
  {
    name: "any number of orphans removed",
    caughtBy: {
      file: "admin/orphans.test.ts",
      title: "of 21 at once 21 are left: more than twenty mean lost records, not a leak",
    },
    edits: [
      { file: "admin/orphan-runs.ts", find: "const MOST_REMOVED = 20;", replace: "const MOST_REMOVED = 20_000;" },
    ],
  },
  {
    name: "a cancel of what is stopped taken on",
    caughtBy: {
      file: "environments/verbs/restart.test.ts",
      title: "a stopped environment cannot be cancelled, and one cancelled while it stops ends as cancelled",
    },
    edits: [{ file: "environments/verbs/actions.ts", find: ' || environment.phase === "stopped"', replace: "" }],
  },
  {
    name: "one volume of its own that cannot be removed holds up the end",
    caughtBy: {
      file: "environments/steps/start/own-volumes.test.ts",
      title:
        "a volume with a refused removal is named, and does not block the removal of host name, secrets and the other volume",
    },
    edits: [
      {
        file: "environments/steps/end/finalize.ts",
        find: "return (await removeVolumes(ctx, bare, now)) ?? end(bare, outcome, now);",
        replace: "return (await removeVolumes(ctx, environment, now)) ?? end(bare, outcome, now);",
      },
    ],
  },
];
