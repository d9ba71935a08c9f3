import type { PlantedBug } from "./plant.ts";

export const backupBugs: readonly PlantedBug[] = [
  {
    name: "a second CreateSnapshot after a time-out with effect",
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "refused === undefined ? until + ctx.volumes.listedWithinMs : until",
        replace: "until",
      },
    ],
  },
  {
    name: "a second CreateSnapshot while the first is pending",
    edits: [
      { file: "environments/steps/end/backup.ts", find: 'state !== "failed" &&', replace: 'state === "completed" &&' },
    ],
  },
  {
    name: "a failed backup made again before what was made is surely listed",
    caughtBy: {
      file: "disks/backups/lost-backup.test.ts",
      title: "is repeated once although the answer was lost and it is listed after minutes",
    },
    edits: [
      {
        file: "disks/backups/lost-backup.ts",
        find: "const notBefore = until + ctx.volumes.listedWithinMs;",
        replace: "const notBefore = until;",
      },
    ],
  },
  {
    name: "the next try under the tag of what may still be listed",
    caughtBy: {
      file: "disks/settle-creates.test.ts",
      title: "a snapshot that is listed too late for the end of its job becomes a backup of the disk",
    },
    edits: [
      {
        file: "reconciler/snapshot-claim.ts",
        find: "(latest.refused === undefined ? 1 : 0)",
        replace: "(latest.refused ? 1 : 0)",
      },
    ],
  },
  {
    name: "a backup given up while another may still be made",
    caughtBy: {
      file: "disks/backups/lost-backup.test.ts",
      title: "delays a job that arrives while it is being repeated",
    },
    edits: [
      { file: "reconciler/snapshot-claim.ts", find: "const CLAIM_MS = 60_000;", replace: "const CLAIM_MS = 2_000;" },
    ],
  },
  {
    name: "a backup given up because it was refused for minutes",
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: 'left === "failed" ? { attempt',
        replace: 'left === "failed" || claim?.refused !== undefined ? { attempt',
      },
    ],
  },
  {
    name: "an attempt to back up counted that was never made",
    caughtBy: {
      file: "environments/steps/deadlines.test.ts",
      title: "a backup is made in the third attempt if the first two got no answer",
    },
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "if (backup.attempt >= MOST_ATTEMPTS)",
        replace: "if (backup.attempt + 1 >= MOST_ATTEMPTS)",
      },
    ],
  },
  {
    name: "an attempt to back up counted while the disk cannot be read",
    caughtBy: {
      file: "environments/steps/deadlines.test.ts",
      title: "a backup is made although the disk's record was unreadable for seven hours",
    },
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "  if (!(await readDisk(ctx, environment, use)))\n    return waitedFor(withAttempt(environment, now), now, unreadableDisk(use.name));\n",
        replace: "",
      },
      {
        file: "environments/steps/end/backup.ts",
        find: "if (!disk) return waitedFor(withAttempt(environment, now), ",
        replace: "if (!disk) return waitedFor(environment, ",
      },
    ],
  },
  {
    name: "an attempt to make a backup again counted while a job has the disk",
    caughtBy: {
      file: "disks/backups/lost-backup.test.ts",
      title: "loses no attempt while a waiting job has the disk",
    },
    edits: [
      {
        file: "disks/backups/lost-backup.ts",
        find: "Math.max(0, gapMs - MOST_BETWEEN_TRIES_MS)",
        replace: "0",
      },
    ],
  },
  {
    name: "a backup given up for good although its volume is seen again",
    caughtBy: {
      file: "disks/backups/lost-backup.test.ts",
      title: "is repeated after all once the volume that seemed lost is seen again",
    },
    edits: [
      {
        file: "disks/record.ts",
        find: "...withVolume(disk, now),",
        replace: "...disk,",
      },
    ],
  },
  {
    name: "a snapshot that is pending for ever waited for",
    caughtBy: {
      file: "environments/steps/end/backup.test.ts",
      title: "a disk and its next job show that a snapshot is pending, for up to a day",
    },
    edits: [
      {
        file: "disks/record.ts",
        find: "const LONGEST_PENDING_MS = DAY_MS;",
        replace: "const LONGEST_PENDING_MS = Number.POSITIVE_INFINITY;",
      },
    ],
  },
  {
    name: "a disk let go without a backup as if it had one",
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "lost: lost ?? disk.lost }",
        replace: "lost: note === LATEST_NOT_MADE ? lost : disk.lost }",
      },
    ],
  },
  {
    name: "a snapshot made before it is named",
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "  await listSnapshotMaking(ctx, disk, tags.attempt, volumeId);\n",
        replace: "",
      },
      {
        file: "environments/steps/end/backup.ts",
        find: "import { findVolume, listSnapshotMaking,",
        replace: "import { findVolume,",
      },
    ],
  },
  {
    name: "a disk let go before its environment says why",
    caughtBy: {
      file: "disks/life.test.ts",
      title: "records that it was released without a backup, even if the worker died then",
    },
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "if (!isSaid(environment, note)) return changed(addEntry(environment, now, note), now, note);",
        replace: "",
      },
      {
        file: "environments/steps/end/backup.ts",
        find: 'return released(environment, use, now, "lets its disk go");',
        replace: "return released(addEntry(environment, now, note), use, now, note);",
      },
    ],
  },
  {
    name: "a lost backup forgotten for an older one",
    caughtBy: {
      file: "disks/removal.test.ts",
      title: "lets a newer failed backup be repeated",
    },
    edits: [
      {
        file: "disks/backups/lost-backup.ts",
        find: "const isMade = newest.completed && !before.completed;",
        replace: "const isMade = newest.completed;",
      },
    ],
  },
  {
    name: "a snapshot on demand made twice because it was listed late",
    caughtBy: {
      file: "disks/backups/on-demand.test.ts",
      title: "makes one snapshot although the worker that claimed it died or it is listed late",
    },
    edits: [
      {
        file: "disks/backups/take-snapshot.ts",
        find: "until + ctx.volumes.listedWithinMs : now",
        replace: "until : now",
      },
    ],
  },
  {
    name: "a snapshot on demand pushed out by backups",
    caughtBy: {
      file: "disks/backups/on-demand.test.ts",
      title: "keeps the newest five on-demand snapshots and three backups, and names the one to be removed",
    },
    edits: [
      {
        file: "disks/backups/thinning.ts",
        find: "completed.filter(({ onDemand }) => !onDemand)",
        replace: "completed",
      },
    ],
  },
  {
    name: "a job that mounts a volume whose files are being copied",
    caughtBy: {
      file: "disks/backups/on-demand.test.ts",
      title: "delays a job until it is completed if snapshots of used volumes are impossible",
    },
    edits: [
      {
        file: "disks/record.ts",
        find: "isPending(snapshot) && !snapshot.isFixed",
        replace: "isPending(snapshot) && !snapshot.onDemand",
      },
    ],
  },
];
