import type { PlantedBug } from "./plant.ts";

/** Mistakes with disks that are made of other disks' snapshots. */
export const restoreBugs: readonly PlantedBug[] = [
  {
    name: "a backup removed by the look that decides on it",
    caughtBy: {
      file: "disks/from-snapshot.test.ts",
      title: "is refused in the very moment in which the snapshot is removed",
    },
    edits: [
      {
        file: "disks/thinning.ts",
        find: "      if (!mayBeRemoved(one, now)) return { ...one, removingUntil: now + 2 * CLAIM_MS };\n",
        replace: "",
      },
    ],
  },
  {
    name: "a disk made of a snapshot whose removal is claimed",
    caughtBy: {
      file: "disks/from-snapshot.test.ts",
      title: "is refused in the very moment in which the snapshot is removed",
    },
    edits: [
      {
        file: "disks/from-snapshot.ts",
        find: "if (unremoved || removingUntil !== undefined) throw",
        replace: "if (unremoved) throw",
      },
    ],
  },
  {
    name: "a disk whose snapshot is gone waited for",
    caughtBy: {
      file: "disks/source.test.ts",
      title: "is lost, in words, and its job fails with them; nothing else is kept for it",
    },
    edits: [
      {
        file: "environments/steps/disk.ts",
        find: "const isLate = now - missedAt < GONE_MS || ",
        replace: "const isLate = now - missedAt < Number.POSITIVE_INFINITY || ",
      },
    ],
  },
  {
    name: "a snapshot kept for a disk that has no name",
    caughtBy: {
      file: "disks/source.test.ts",
      title: "keeps the snapshot for a quarter of an hour, and no longer",
    },
    edits: [
      {
        file: "disks/from-snapshot.ts",
        find: "return !isAbandoned || (await isNamed(ctx, found));",
        replace: "return !isAbandoned || found.phase !== null;",
      },
    ],
  },
  {
    name: "a restore abandoned while a repeat of its request names the disk",
    caughtBy: {
      file: "disks/source.test.ts",
      title: "keeps it for as long again where the same request is repeated, which then names the disk",
    },
    edits: [
      {
        file: "disks/from-snapshot.ts",
        find: "if (known && restore.at - known.at < ABANDONED_MS / 2) return undefined;",
        replace: "if (known) return undefined;",
      },
    ],
  },
];
