import type { PlantedBug } from "./plant.ts";

/** Mistakes with disks that are restored from snapshots. */
export const restoreBugs: readonly PlantedBug[] = [
  {
    name: "a backup removed by the look that decides on it",
    caughtBy: {
      file: "disks/backups/from-snapshot.test.ts",
      title: "is refused at the moment when the snapshot is removed",
    },
    edits: [
      {
        file: "disks/backups/thinning.ts",
        find: "  if (claimed.length === 0) return { disk: thinned };",
        replace:
          "  if (claimed.length === 0) return { disk: thinned };\n  await Promise.all(claimed.map((snapshot) => removeSnapshot(ctx, disk, snapshot, now)));",
      },
    ],
  },
  {
    name: "a disk made of a snapshot whose removal is claimed",
    caughtBy: {
      file: "disks/backups/from-snapshot.test.ts",
      title: "is refused at the moment when the snapshot is removed",
    },
    edits: [
      {
        file: "disks/backups/from-snapshot.ts",
        find: "if (unremoved || removingUntil !== undefined) throw",
        replace: "if (unremoved) throw",
      },
    ],
  },
  {
    name: "a disk whose snapshot is gone waited for",
    caughtBy: {
      file: "disks/backups/source.test.ts",
      title: "is lost with a reason, which its job fails with, and still claims the snapshot in case it is seen again",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "const mayCome = isLate(source) || ",
        replace: "const mayCome = source.missedAt !== undefined || ",
      },
    ],
  },
  {
    name: "a snapshot kept for a disk that has no name",
    caughtBy: {
      file: "disks/backups/source.test.ts",
      title: "keeps the snapshot for a quarter of an hour, and no longer",
    },
    edits: [
      {
        file: "disks/backups/from-snapshot.ts",
        find: "return !isAbandoned || (await hasName(ctx, found));",
        replace: "return !isAbandoned || found.phase !== null;",
      },
    ],
  },
  {
    name: "a promise ended by a mark that nobody looked after",
    edits: [
      {
        file: "disks/backups/from-snapshot.ts",
        find: "snapshots.some(({ id }) => id === snapshot);",
        replace: "snapshots.some(({ id, missedAt = now }) => id === snapshot && now - missedAt < 600_000);",
      },
    ],
  },
  {
    name: "a promise ended by a new disk that is lost for now",
    caughtBy: {
      file: "disks/backups/source.test.ts",
      title: "is restored when the snapshot is seen again, however many backups were made in between",
    },
    edits: [
      {
        file: "disks/backups/from-snapshot.ts",
        find: "  if (isLostForLong(found, now)) return false;\n",
        replace: "  if (found.lostAt !== undefined) return false;\n",
      },
    ],
  },
  {
    name: "a disk that stays lost although its snapshot is seen",
    caughtBy: {
      file: "disks/backups/source.test.ts",
      title: "is no longer lost after the snapshot is seen again, even if its volume is refused then",
    },
    edits: [
      {
        file: "disks/step.ts",
        find: "if (disk.lostAt === undefined && findOrigin(disk)?.missedAt === undefined) return disk;",
        replace: "if (findOrigin(disk)?.missedAt === undefined) return disk;",
      },
    ],
  },
  {
    name: "a copy that is lost only once a job opens it",
    caughtBy: {
      file: "disks/backups/promised.test.ts",
      title: "is lost, and its thirty days begin, even if no job opens it again",
    },
    edits: [
      { file: "disks/step.ts", find: "if (isAlone && !isLost) return", replace: "if (isAlone && isLost) return" },
    ],
  },
  {
    name: "a copy without a backup whose volume nobody looks for",
    caughtBy: {
      file: "disks/backups/promised.test.ts",
      title: "is lost in the same way if its volume disappears long after the last backup attempt",
    },
    edits: [{ file: "disks/next-due.ts", find: "hasOnlyVolume(disk) ? now + TAGS_MS : null,", replace: "null," }],
  },
  {
    name: "a disk lost whose volume nobody had written to",
    edits: [
      {
        file: "disks/backups/source.ts",
        find: "const isSeen = volume !== null && volumeMissedAt === undefined;",
        replace: "const isSeen = volume !== null || volumeMissedAt !== undefined;",
      },
    ],
  },
  {
    name: "what was written replaced in silence by what it began with",
    caughtBy: {
      file: "disks/backups/promised.test.ts",
      title: "is lost, with advice, if a run may have written to it, and keeps the snapshot for the owner",
    },
    edits: [
      {
        file: "disks/backups/source.ts",
        find: "return disk.source ? { ...disk, written: true } : disk;",
        replace: "return disk;",
      },
    ],
  },
  {
    name: "a snapshot kept for ever for a disk that is lost",
    caughtBy: {
      file: "disks/backups/promised.test.ts",
      title: "keeps that snapshot for thirty days after it was lost, and no longer",
    },
    edits: [
      {
        file: "disks/backups/from-snapshot.ts",
        find: "  if (isLostForLong(found, now)) return false;\n",
        replace: "",
      },
    ],
  },
  {
    name: "a backup claimed and left to a later look",
    caughtBy: {
      file: "disks/backups/promised.test.ts",
      title: "is removed although each reconcile comes long after the one before",
    },
    edits: [
      {
        file: "disks/backups/thinning.ts",
        find: "  if (claimed.length === 0) return { disk: thinned };",
        replace:
          "  if (claimed.length === 0 || !disk.snapshots.some((snapshot) => (snapshot.removingUntil ?? 0) > now)) return { disk: thinned };",
      },
    ],
  },
  {
    name: "a restore abandoned while a repeat of its request names the disk",
    caughtBy: {
      file: "disks/backups/source.test.ts",
      title: "keeps the snapshot for as long again if the request is repeated, which then names the disk",
    },
    edits: [
      {
        file: "disks/backups/from-snapshot.ts",
        find: "if (knownRestore && restore.at - knownRestore.at < ABANDONED_MS / 2) return undefined;",
        replace: "if (knownRestore) return undefined;",
      },
    ],
  },
  {
    name: "a disk leaves its zone with work that no snapshot has",
    caughtBy: {
      file: "environments/steps/start/leave-zone.test.ts",
      title: "an interrupted job that wrote to its disk waits for the disk's zone",
    },
    edits: [
      {
        file: "environments/steps/start/leave-zone.ts",
        find: "!disk || mayHaveWritten(use) || !replacesVolumes",
        replace: "!disk || !replacesVolumes",
      },
    ],
  },
  {
    name: "a disk leaves its zone without a snapshot",
    caughtBy: {
      file: "environments/steps/start/leave-zone.test.ts",
      title: "a job waits for its disk's zone if no snapshot has everything on the disk",
    },
    edits: [
      {
        file: "environments/steps/start/leave-zone.ts",
        find: "isPinned && isReplaceable(disk, environment.uid)",
        replace: "isPinned",
      },
    ],
  },
  {
    name: "a disk leaves its zone although its backup is gone",
    caughtBy: {
      file: "environments/steps/start/leave-zone.test.ts",
      title: "a job waits for its disk's zone if the disk's backup was removed outside of Berth",
    },
    edits: [
      {
        file: "disks/idle-volume.ts",
        find: "return (await isBackupSeen(ctx, disk)) ? {",
        replace: "return disk.volume ? {",
      },
    ],
  },
  {
    name: "a volume that another job wrote to counts as empty",
    caughtBy: {
      file: "environments/steps/start/leave-zone.test.ts",
      title: "a volume that another job had in the meantime does not count as empty",
    },
    edits: [
      {
        file: "disks/names/lease.ts",
        find: "restored: undefined, heldBy: disk.next",
        replace: "heldBy: disk.next",
      },
    ],
  },
  {
    name: "a volume let go that a run was just given",
    caughtBy: {
      file: "environments/steps/start/leave-zone.test.ts",
      title: "a volume that a run was given while another worker let it go stays",
    },
    edits: [
      {
        file: "reconciler/reconcile.ts",
        find: "await writeRecords(ctx, [record, alsoWrites])",
        replace: "await writeRecord(ctx, alsoWrites)",
      },
    ],
  },
  {
    name: "a job waits in a zone where its disk has no volume",
    caughtBy: {
      file: "environments/steps/start/leave-zone.test.ts",
      title: "a job whose disk lost its volume while it was submitted waits in all zones",
    },
    edits: [
      {
        file: "environments/steps/start/queued.ts",
        find: "  if (environment.zone !== zone) {",
        replace: "  if (environment.zone === null && zone !== null) {",
      },
    ],
  },
];
