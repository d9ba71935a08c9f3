import type { PlantedBug } from "./plant.ts";

export const diskBugs: readonly PlantedBug[] = [
  {
    name: "disk lease before the environment",
    edits: [
      {
        file: "environments/verbs/create.ts",
        find: "  await writeSpec(ctx, key, { uid, spec: uid }, input);\n",
        replace:
          "  if (lease) await writeLease(ctx, lease, wanted);\n  await writeSpec(ctx, key, { uid, spec: uid }, input);\n",
      },
      {
        file: "environments/verbs/create.ts",
        find: "  if (lease) await confirmLease(ctx, await writeLease(ctx, lease, head));\n",
        replace: "",
      },
    ],
  },
  {
    name: "disk lease not checked when the grant is taken",
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: 'if (!environment.disk) return { kind: "ready", disk: null };',
        replace: 'if (!environment.disk || environment.waitPool !== undefined) return { kind: "ready", disk: null };',
      },
      {
        file: "environments/steps/start/disk.ts",
        find: "if (!use || storedDisk?.heldBy?.uid !== environment.uid) return undefined;",
        replace: "if (!use || !storedDisk) return undefined;",
      },
    ],
  },
  {
    name: "a lease confirmed to a job whose end is decided",
    caughtBy: {
      file: "disks/names/hand-over.test.ts",
      title: "a job whose end is decided before its lease is confirmed is refused",
    },
    edits: [{ file: "disks/names/acquire.ts", find: " || isUndone(head)", replace: "" }],
  },
  {
    name: "a disk given away before the end of its job is written",
    caughtBy: {
      file: "environments/steps/start/queue-limit.test.ts",
      title: "an environment that gets a machine while a slow worker ends its wait keeps its disk",
    },
    edits: [
      {
        file: "environments/steps/start/queued.ts",
        find: '  if (environment.disk && !environment.end.outcome) return changed(decided, now, "decided its end");\n',
        replace: "",
      },
    ],
  },
  {
    name: "disks that cannot be read left out of a directory that is made again",
    caughtBy: {
      file: "disks/names/lost-names.test.ts",
      title: "is rebuilt with disks of invalid records too, under the names in these",
    },
    edits: [{ file: "disks/names/lost-directory.ts", find: ", ...broken.flatMap(whatMayBeSaid)]", replace: "]" }],
  },
  {
    name: "a disk ended under its job where its holder cannot be read",
    caughtBy: {
      file: "admin/end-disk.test.ts",
      title: "ends no disk whose holder is missing while any job of its owner uses it",
    },
    edits: [
      {
        file: "admin/end-record.ts",
        find: "if (item.heldBy !== null && !isHolder(item.heldBy)) return refuseUsed(ctx, item);",
        replace: "if (!isHolder(item.heldBy)) return;",
      },
    ],
  },
  {
    name: "ReadWriteOnce for ReadWriteOncePod",
    caughtBy: {
      file: "../../tests/fakes/memory-compute.test.ts",
      title: "keeps the volume of a forcibly removed run attached until it is detached or its node is back",
    },
    edits: [
      {
        file: "../../tests/fakes/memory-cluster.ts",
        find: "if (it.nodes.length === 0 && isMountedElsewhere(world, it)) return false;",
        replace: "if (it.nodes.length > 0 && isMountedElsewhere(world, it)) return false;",
      },
    ],
  },
  {
    name: "a disk let go without a backup after one machine of a withdrawn run wrote to it",
    edits: [
      {
        file: "environments/steps/start/revoke-grant.ts",
        find: "...(machines > 1 && { written: true })",
        replace: "...(machines > 99 && { written: true })",
      },
    ],
  },
  {
    name: "undelete while a purge deletes",
    edits: [
      {
        file: "disks/requests.ts",
        find: 'if (disk.phase !== "deleted") throw',
        replace: 'if (disk.phase === "available") throw',
      },
      {
        file: "disks/view.ts",
        find: 'return disk.phase === "purging" || disk.phase === "purged";',
        replace: 'return disk.phase === "purged";',
      },
    ],
  },
  {
    name: "volumes that were made late forgotten",
    edits: [
      {
        file: "environments/steps/start/own-volumes.ts",
        find: "if (due.length === 0) return undefined;",
        replace: "if (due.length >= 0) return undefined;",
      },
    ],
  },
  {
    name: "a volume made before it is named",
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "const named = isListed ? disk : await written(ctx, withMaking(disk, listMaking(disk.making, entry)));",
        replace: "const named = disk;",
      },
    ],
  },
  {
    name: "an environment's own volume made before it is named",
    edits: [
      {
        file: "environments/steps/start/own-volumes.ts",
        find: "if (unlisted.length > 0) {",
        replace: "if (unlisted.length < 0) {",
      },
    ],
  },
  {
    name: "a making forgotten before 10 minutes",
    edits: [
      {
        file: "reconciler/pending-creates.ts",
        find: "return at + LAST_CALL_MS + LISTED_MS;",
        replace: "return at + 1000;",
      },
    ],
  },
  {
    name: "the token without zone",
    caughtBy: {
      file: "disks/settle-creates.test.ts",
      title: "a job in another zone creates its volume under another token, and the unused first one is removed",
    },
    edits: [{ file: "reconciler/pending-creates.ts", find: "      making.zone === zone &&\n", replace: "" }],
  },
  {
    name: "restore takes the oldest",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is restored from its newest backup, whose time the timeline shows",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "const backup = seenBackups(disk).at(-1);",
        replace: "const backup = seenBackups(disk).at(0);",
      },
    ],
  },
  {
    name: "thinning removes the newest",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "keeps the newest three backups, by their points in time",
    },
    edits: [
      {
        file: "disks/backups/thinning.ts",
        find: ".slice(0, completed.indexOf(oldestKept))",
        replace: ".slice(kept)",
      },
    ],
  },
  {
    name: "a snapshot thinned while a restore is made from it",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "keeps the backup that a restore uses, however many newer ones exist",
    },
    edits: [
      {
        file: "disks/backups/thinning.ts",
        find: ".filter(({ id }) => !sources.has(id))",
        replace: '.filter(({ id }) => id !== "" || sources.has(id))',
      },
    ],
  },
  {
    name: "a kept backup due to be removed for ever",
    caughtBy: {
      file: "disks/removal.test.ts",
      title: "is kept, and its disk is checked no more often than others",
    },
    edits: [
      {
        file: "disks/backups/thinning.ts",
        find: "return { ...snapshot, unremoved: undefined, removingUntil:",
        replace: "return { ...snapshot, removingUntil:",
      },
    ],
  },
  {
    name: "one backup that cannot be removed holds up all of its disk",
    caughtBy: {
      file: "disks/removal.test.ts",
      title: "is named in the disk's record, raises an alarm after a quarter of an hour, and is removed once possible",
    },
    edits: [
      {
        file: "disks/removal.ts",
        find: "if (error instanceof StepTooOld || error instanceof Conflict) throw error;",
        replace: "if (error) throw error;",
      },
    ],
  },
  {
    name: "a failed backup made again only once it is removed",
    caughtBy: {
      file: "disks/removal.test.ts",
      title: "is repeated at once if it failed, and is then removed as soon as possible",
    },
    edits: [{ file: "disks/backups/lost-backup.ts", find: "if (newest && !newest.unremoved)", replace: "if (newest)" }],
  },
  {
    name: "a name kept for as long as something of its purged disk is left",
    caughtBy: {
      file: "disks/removal.test.ts",
      title: "does not block the rest of the purge, frees the disk's name, and raises an alarm",
    },
    edits: [
      {
        file: "disks/step.ts",
        find: "if (settled.making.length === 0) refused.push(",
        replace: "if (settled.making.length + refused.length === 0) refused.push(",
      },
    ],
  },
  {
    name: "one list that cannot be read holds up all of its disk",
    caughtBy: {
      file: "disks/settle-creates.test.ts",
      title: "a failed search delays no other step of its disk, and is dropped once it succeeds",
    },
    edits: [
      {
        file: "disks/settle-creates.ts",
        find: "if (error instanceof StepTooOld) throw error;",
        replace: "if (error) throw error;",
      },
    ],
  },
  {
    name: "what a look saw of a backup written only if nothing after it fails",
    caughtBy: {
      file: "disks/unreadable-disk.test.ts",
      title: "an invalid directory hides no backup, and keeps the next job's disk usable",
    },
    edits: [
      {
        file: "disks/step.ts",
        find: "  if (!sameData(followed, disk)) return telling",
        replace: "  await readDirectory(ctx, disk.owner);\n  if (!sameData(followed, disk)) return telling",
      },
    ],
  },
  {
    name: "a disk let go while its holder cannot be read",
    caughtBy: {
      file: "store/unreadable.test.ts",
      title: "a disk with an unreadable holder stays with that holder",
    },
    edits: [
      {
        file: "disks/names/lease.ts",
        find: "if (unreadable.has(holder.key)) return { id: holder.id, isEnding: false, isAttached: true };",
        replace: "",
      },
    ],
  },
  {
    name: "one missing reading of a volume taken for its loss",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is used although one listing missed it",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "if (volume && isLate(volumeAbsence(record)))",
        replace: "if (volume && record.volumeMissedAt === 0)",
      },
    ],
  },
  {
    name: "an absence of a volume counted from before the answer that missed it",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is used although two listings by a worker that slept for over ten minutes missed it",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "  // Count absence from the answer, because time without a check does not count.\n  const now = ctx.clock.now();\n",
        replace: "",
      },
      {
        file: "environments/steps/start/disk.ts",
        find: "const isSeen = disk.volume !== null && (await",
        replace: "const now = ctx.clock.now();\n  const isSeen = disk.volume !== null && (await",
      },
      {
        // This edit exposes the mistake: the whole gap between two reconciles would count as absence.
        file: "disks/absence.ts",
        find: "const MOST_COUNTED_MS = 2 * ABSENCE_CHECK_MS;",
        replace: "const MOST_COUNTED_MS = Number.POSITIVE_INFINITY;",
      },
    ],
  },
  {
    name: "a disk replaced by an empty one while its record names backups",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title:
        "is never replaced by an empty disk while its record names a backup: the job waits, and fails with that reason",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "const mayHaveOne = snapshots.some(mayHold) || ",
        replace: "const mayHaveOne = ",
      },
      {
        file: "environments/steps/start/disk.ts",
        find: "if (disk.volume && !backup && !source)",
        replace: "if (disk.volume && !backup && disk.snapshots.length === 0)",
      },
    ],
  },
  {
    name: "a disk that lost volume and backups begun anew",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is lost if it had contents but no backup: its jobs fail with that reason until the volume is seen again",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "if (disk.volume && !backup && !source)",
        replace: "if (!disk && !backup && !source)",
      },
    ],
  },
  {
    name: "a volume that a backup took the place of named by nobody",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "still names the volume that a backup replaced, which may be seen again",
    },
    edits: [
      {
        file: "environments/steps/start/disk.ts",
        find: "supersededVolumes: [volume.id, ...supersededVolumes].slice(0, MOST_SUPERSEDED)",
        replace: "supersededVolumes: supersededVolumes.slice(0, MOST_SUPERSEDED)",
      },
    ],
  },
  {
    name: "a volume removed as idle although its latest backup was given up",
    caughtBy: {
      file: "disks/idle-volume.test.ts",
      title: "if the last job ended while the volume was missing, and it appears again",
    },
    edits: [
      {
        file: "environments/steps/end/backup.ts",
        find: "withWork({ ...disk, savedIn: undefined, lost: lost ?? disk.lost })",
        replace: "withWork({ ...disk, lost: lost ?? disk.lost })",
      },
    ],
  },
  {
    name: "an idle volume removed that has an unknown snapshot",
    caughtBy: { file: "disks/idle-volume.test.ts", title: "if it has a snapshot that its record does not know" },
    edits: [{ file: "disks/idle-volume.ts", find: " || !isKnown) return disk", replace: ") return disk" }],
  },
  {
    name: "a missing directory taken for an owner without disks",
    caughtBy: {
      file: "disks/names/lost-names.test.ts",
      title: "is rebuilt from the disks, with one log line",
    },
    edits: [
      {
        file: "disks/names/lost-directory.ts",
        find: "if (names.length === 0) return none;",
        replace: "if (names.length >= 0) return none;",
      },
    ],
  },
  {
    name: "a name whose record is missing taken for ever",
    caughtBy: {
      file: "disks/names/lost-names.test.ts",
      title: "is reported by every request, and free after a deletion",
    },
    edits: [
      {
        file: "disks/requests.ts",
        find: "const operation = await freeName(ctx, name, operationRequest);",
        replace: "const operation = name === '' ? await freeName(ctx, name, operationRequest) : undefined;",
      },
    ],
  },
  {
    name: "a missing backup counted",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "a missing backup does not count until it is seen again",
    },
    edits: [
      {
        file: "disks/record.ts",
        find: "({ completed, missedAt }) => completed && missedAt === undefined",
        replace: "({ completed }) => completed",
      },
    ],
  },
  {
    name: "two readings that missed a volume, days apart, taken for one absence",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is used although two listings, days apart, missed it",
    },
    edits: [
      {
        file: "disks/step.ts",
        find: "if (volume && (volumeMissedAt !== undefined || isLost || isAlone)) {",
        replace: "if (volume && volumeMissedAt === null) {",
      },
      {
        // This edit exposes the mistake: the whole gap between two reconciles would count as absence.
        file: "disks/absence.ts",
        find: "const MOST_COUNTED_MS = 2 * ABSENCE_CHECK_MS;",
        replace: "const MOST_COUNTED_MS = Number.POSITIVE_INFINITY;",
      },
    ],
  },
  {
    name: "an outage between two looks that missed a volume counted as its absence",
    caughtBy: {
      file: "disks/absence.test.ts",
      title: "a job gets the volume of its disk that checks before and after missed",
    },
    edits: [{ file: "disks/absence.ts", find: "Math.max(0, gapMs - MOST_COUNTED_MS)", replace: "Math.min(0, gapMs)" }],
  },
  {
    name: "a volume that is gone waited for as long as nobody looks each minute",
    caughtBy: {
      file: "disks/absence.test.ts",
      title: "a volume that is really lost is restored after seven checks, however far apart",
    },
    edits: [
      {
        file: "disks/absence.ts",
        find: "Math.max(0, gapMs - MOST_COUNTED_MS)",
        replace: "(gapMs > MOST_COUNTED_MS ? gapMs : 0)",
      },
    ],
  },
  {
    name: "a disk lost for ever",
    caughtBy: {
      file: "disks/backups/restore.test.ts",
      title: "is no longer lost once the volume is seen again, even without a job",
    },
    edits: [
      {
        file: "disks/record.ts",
        find: "      lostAt: undefined,\n      ...unmissedSource(disk),",
        replace: "      ...unmissedSource(disk),",
      },
    ],
  },
  {
    name: "a living disk's name given to one that is being purged",
    caughtBy: {
      file: "disks/names/lost-names.test.ts",
      title: "never assigns a living disk's name to an older disk in its purge, nor that disk another name",
    },
    edits: [
      {
        file: "disks/names/lost-directory.ts",
        find: 'const hasContents = phase !== "purging" && (volume !== null',
        replace: "const hasContents = phase !== null && (volume !== null",
      },
      {
        file: "disks/names/lost-directory.ts",
        find: 'return phase !== "deleted" && phase !== "purging";',
        replace: 'return phase !== "deleted";',
      },
    ],
  },
  {
    name: "a deleted disk's name taken while an undelete brings it back",
    caughtBy: {
      file: "disks/names/same-name.test.ts",
      title: "keep the name with the undeleted disk if the undelete was faster",
    },
    edits: [
      {
        file: "disks/names/set-aside.ts",
        find: "if (await writeRecords(ctx, [moved, renamed(ctx, disk, newName)])) return true;",
        replace: "renamed(ctx, disk, newName);\n    if (await writeRecords(ctx, [moved])) return true;",
      },
    ],
  },
  {
    name: "a living disk set aside for a new one",
    edits: [
      {
        file: "disks/names/set-aside.ts",
        find: "if (!disk || !phases.includes(disk.phase) || newName === undefined) return false;",
        replace: "if (!disk || newName === undefined) return false;",
      },
    ],
  },
  {
    name: "a disk ended by a repeat of the create that made it",
    caughtBy: {
      file: "disks/create.test.ts",
      title: "a repeated create does not change its disk after a rename and a new disk of the name",
    },
    edits: [{ file: "disks/create.ts", find: "isTaken = !isNamed && findDiskUid", replace: "isTaken = findDiskUid" }],
  },
  {
    name: "a deleted disk with contents preferred to a living disk of its name",
    caughtBy: {
      file: "disks/names/same-name.test.ts",
      title: "a rebuilt directory leaves the name with the living disk, even if that is empty",
    },
    edits: [{ file: "disks/names/lost-directory.ts", find: "(isLiving ? 2 : 0)", replace: "(isLiving ? 1 : 0)" }],
  },
];
