import type { PlantedBug } from "./plant.ts";

/** Mistakes that need weather: dead machines, lost volumes, two versions, throttling, force. */
export const weatherBugs: readonly PlantedBug[] = [
  {
    name: "force although no machine is lost",
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "return lost !== undefined && now",
        replace: "return now",
      },
    ],
  },
  {
    name: "a machine that does not answer taken for a dead one",
    edits: [
      {
        file: "environments/steps/lost-node.ts",
        find: 'const lost = silent[states.indexOf("gone")];',
        replace: "const lost = silent[0];",
      },
    ],
  },
  {
    name: "the volume of a lost machine never taken off",
    edits: [
      {
        file: "environments/steps/lost-node.ts",
        find: "  if (lost) await Promise.all(attached",
        replace: "  if (lost && now < 0) await Promise.all(attached",
      },
    ],
  },
  {
    name: "an operator's word that nobody reads",
    edits: [
      {
        file: "environments/steps/lost-node.ts",
        find: "const knownMachine = machines.find(({ uid }) => gone.has(uid));",
        replace: "const knownMachine = machines.find(({ uid }) => gone.has(uid.toUpperCase()));",
      },
    ],
  },
  {
    name: "a restore that does not ask whether the backup is there",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is restored from the next newest backup if the newest was deleted externally, with a log line",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "sighted(snapshot, (await ctx.volumes.findSnapshot(snapshot.id)) !== undefined, ctx.clock.now())",
        replace: "sighted(snapshot, true, ctx.clock.now())",
      },
    ],
  },
  {
    name: "a restore from an older backup because one look did not see the newest",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is restored from its newest backup although one check misses it",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "if (backup && isNewerLate) return",
        replace: "if (!backup && isNewerLate) return",
      },
    ],
  },
  {
    name: "a volume made under a token whose leftovers are being removed",
    caughtBy: {
      file: "reconciler/pending-creates.test.ts",
      title: "creates nothing under a token whose leftovers may be being removed",
    },
    edits: [{ file: "reconciler/pending-creates.ts", find: "now < settlesAt(making) - REMOVING_MS &&", replace: "" }],
  },
  {
    name: "a backup looked for only while its volume is there",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is restored from the backup of its last job, although the volume was lost before that was recorded",
    },
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "const left = claim ? await",
        replace:
          "const isThere = disk.volume && (await ctx.volumes.findVolume(disk.volume.id));\n  const left = claim && isThere ? await",
      },
    ],
  },
  {
    name: "fields that nobody knows dropped",
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: "const record = await writeStep(ctx, step);",
        replace: "const record = await writeRecord(ctx, { ...step.record, added: undefined } as Due);",
      },
    ],
  },
  {
    name: "a newer ledger put off",
    edits: [
      { file: "reconciler/quarantine.ts", find: "if (isNewer) {", replace: 'if (isNewer && item.kind !== "pool") {' },
    ],
  },
  {
    name: "a batch that was throttled taken for an empty one",
    edits: [
      {
        file: "pools/ledger/read-by-key.ts",
        find: "await ctx.table.getMany(knownKeys) : [];",
        replace: "await ctx.table.getMany(knownKeys).catch(() => []) : [];",
      },
    ],
  },
  {
    name: "a record ended by force that forgets what it holds",
    edits: [
      {
        file: "environments/verbs/recover-archive.ts",
        find: "const grant = entry ? { id: entry.id, shares: entry.shares, at: entry.at } : knownGrant;",
        replace:
          "const grant = entry && now < 0 ? { id: entry.id, shares: entry.shares, at: entry.at } : knownGrant && null;",
      },
    ],
    caughtBy: {
      file: "admin/end-record.test.ts",
      title: "holds the units of a record ended by force until its run is seen gone",
    },
  },
  {
    name: "a gap in the timeline",
    edits: [
      { file: "environments/record/timeline.ts", find: "count: n, emitted }", replace: "count: n + 1, emitted }" },
    ],
  },
  {
    name: "an exit code that changes what was decided",
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: "if (decidedAt === undefined || exitCode === null || endedAt === null || endedAt >= decidedAt) return undefined;",
        replace: "if (!end.outcome || exitCode === null || endedAt === null) return undefined;",
      },
    ],
  },
  {
    name: "every writer kept",
    edits: [{ file: "store/write-record.ts", find: "KEPT_WRITERS = 8", replace: "KEPT_WRITERS = 8_000" }],
  },
  {
    name: "a holding kept for longer than its record",
    edits: [
      {
        file: "pools/ledger/reconcile-ledger.ts",
        find: "const COMPARE_MS = 50_000;",
        replace: "const COMPARE_MS = 5_000_000;",
      },
      {
        file: "pools/ledger/reconcile-ledger.ts",
        find: "if (!readKeys.has(old.key)) kept.push(old);",
        replace: "if (turn.held.length === 0 || !readKeys.has(old.key)) kept.push(old);",
      },
    ],
  },
  {
    name: "a ledger not written because it is closed already",
    caughtBy: {
      file: "pools/admission/admission.test.ts",
      title: "a pool paused again is closed although an older request to open it is still being written",
    },
    edits: [
      {
        file: "pools/admission/admission.ts",
        find: "if (!pool) return undefined;",
        replace: "if (!pool || pool.closed === findClosure(await readAdmission(ctx), type)) return undefined;",
      },
    ],
  },
  {
    name: "a ledger made open",
    caughtBy: {
      file: "pools/admission/admission.test.ts",
      title: "a type drained while its ledger is created starts nothing",
    },
    edits: [
      {
        file: "pools/admission/begin-pool.ts",
        find: '{ ...emptyPool(ctx, type), closed: "paused" }',
        replace: "{ ...emptyPool(ctx, type), closed: null }",
      },
      {
        file: "pools/admission/begin-pool.ts",
        find: "await unlessUnreadable(ctx, () => carryAdmission(ctx, type));",
        replace: "",
      },
    ],
  },
];
