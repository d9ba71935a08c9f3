import { volumeRef } from "../environments/record/parse.ts";
import type { Item } from "../ports/table.ts";
import { isMaking } from "../reconciler/pending-creates.ts";
import { diskKey } from "../store/keys.ts";
import {
  count,
  flag,
  list,
  literal,
  mark,
  number,
  optional,
  ordinal,
  orNull,
  shape,
  text,
  uid,
} from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import type { IdleVolume } from "./idle-volume.ts";
import type {
  Disk,
  DiskSnapshot,
  DiskSource,
  Holder,
  LostBackup,
  Restore,
  SnapshotRequest,
  Unremoved,
} from "./record.ts";

const moment = orNull(number);
export const operationKind = literal("create", "delete", "undelete", "snapshot");
export const isHolder = shape<Holder>({ uid, key: text, id: text });
const unremoved = shape<Unremoved>({ why: text, tries: ordinal, at: number });
const snapshot = shape<DiskSnapshot>({
  id: text,
  at: number,
  completed: flag,
  failed: optional(flag),
  missedAt: optional(number),
  missedAgainAt: optional(number),
  unremoved: optional(unremoved),
  removingUntil: optional(number),
  onDemand: mark,
  isFixed: mark,
});
const snapshotRequest = shape<SnapshotRequest>({
  operation: text,
  at: number,
  attempt: count,
  until: moment,
  notBefore: optional(number),
  refused: optional(text),
  snapshot: optional(text),
});
const lostBackup = shape<LostBackup>({
  of: text,
  attempt: ordinal,
  tried: optional(ordinal),
  since: optional(number),
  answeredAt: optional(number),
  until: moment,
  notBefore: optional(number),
  refused: optional(text),
  gaveUp: orNull(text),
});

export const parseDisk: (item: Item) => Disk = createParser(
  "disk",
  {
    uid,
    owner: text,
    name: text,
    sizeGb: number,
    phase: literal("creating", "available", "deleted", "purging", "purged"),
    volume: orNull(volumeRef),
    volumeMissedAt: optional(number),
    volumeMissedAgainAt: optional(number),
    lostAt: optional(number),
    supersededVolumes: optional(list(text)),
    savedIn: optional(text),
    idleVolume: optional(shape<IdleVolume>({ id: text, isBlank: mark, unremoved: optional(unremoved) })),
    making: list(isMaking),
    restored: optional(shape<NonNullable<Disk["restored"]>>({ by: uid, at: moment })),
    source: optional(
      shape<DiskSource>({ id: text, at: number, missedAt: optional(number), missedAgainAt: optional(number) }),
    ),
    written: mark,
    restores: optional(list(shape<Restore>({ snapshot: text, disk: uid, at: number }))),
    snapshots: list(snapshot),
    lost: optional(lostBackup),
    snapshotRequest: optional(snapshotRequest),
    heldBy: orNull(isHolder),
    next: orNull(isHolder),
    createdAt: number,
    lastUsedAt: moment,
    deletedAt: moment,
    purgeAt: moment,
    taggedAs: orNull(text),
    operations: list(shape<Disk["operations"][number]>({ id: text, kind: operationKind })),
    attempts: count,
    fault: orNull(text),
    dueShard: text,
    dueAt: optional(number),
    ttl: optional(number),
  },
  {
    "its key does not match its fields": ({ pk, sk, owner, uid: diskUid }) => {
      const key = diskKey(owner, diskUid);
      return pk === key.pk && sk === key.sk;
    },
    "it is deleted and never purged": ({ phase, purgeAt }) => phase !== "deleted" || purgeAt !== null,
  },
);
