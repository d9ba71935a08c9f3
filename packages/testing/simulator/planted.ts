/** One mistake: texts of the core's source, each of which stands there exactly once, and what it becomes. */
export interface PlantedBug {
  readonly name: string;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
  /** The core's test that catches it, where it takes more than a schedule has: long lines, days, a setting. */
  readonly test?: string;
}

/** The mistakes of design section 10 that can be made in what exists so far. Each must be caught. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "grants dropped after a time",
    edits: [
      {
        file: "pools/settle.ts",
        find: "mayStillTake(grant, known.get(grant.key)) ?",
        replace: "mayStillTake(grant, known.get(grant.key)) && now - grant.at < 5000 ?",
      },
    ],
  },
  {
    name: "a move without a new look at the ledger",
    edits: [
      {
        file: "pools/planner.ts",
        find: "if (!(await writeRecord(ctx, decided.pool))) throw new Conflict(look);",
        replace: "await ctx.table.put(decided.pool);",
      },
    ],
  },
  {
    name: "a conflict acknowledged",
    edits: [
      {
        file: "reconcile.ts",
        find: 'if (!record) return "again";',
        replace: 'if (!record) return "over";',
      },
    ],
  },
  {
    name: "no step budget",
    edits: [
      { file: "budget.ts", find: "STEP_BUDGET_MS = 20_000", replace: "STEP_BUDGET_MS = Number.POSITIVE_INFINITY" },
    ],
  },
  {
    name: "no looks after the end",
    edits: [
      {
        file: "environments/ending.ts",
        find: 'if (await removeStrays(ctx, environment, "all")) {',
        replace: 'if (environment.run < 0 && (await removeStrays(ctx, environment, "all"))) {',
      },
    ],
  },
  {
    name: "names from wire ids",
    edits: [
      { file: "environments/make-run.ts", find: "    uid: environment.uid,\n", replace: "    uid: environment.id,\n" },
      {
        file: "environments/preparing.ts",
        find: "ctx.compute.observe(environment.uid, environment.run.n)",
        replace: "ctx.compute.observe(environment.id, environment.run.n)",
      },
    ],
  },
  {
    name: "a look at what is not due goes on",
    edits: [
      {
        file: "reconcile.ts",
        find: "if (early > 0 && !wantsLook(item, message)) {",
        replace: "if (early > 0 && early < 0 && !wantsLook(item, message)) {",
      },
    ],
  },
  {
    name: "the loser of a write sends the next message",
    edits: [
      {
        file: "reconcile.ts",
        find: 'if (!record) return "again";',
        replace: 'if (!record) {\n    await sendAfter(ctx, key, step.record, step);\n    return "over";\n  }',
      },
    ],
  },
  {
    name: "terminal left",
    edits: [
      {
        file: "environments/requests.ts",
        find: 'if ("pk" in decided) return { ...decided, dueAt: now, looks: 0 };',
        replace: 'if ("pk" in decided) return (await ctx.table.put({ ...decided, dueAt: now, looks: 0 })) ?? decided;',
      },
    ],
  },
  {
    name: "end of life in another order",
    edits: [
      {
        file: "environments/ending.ts",
        find: "if (left || removedAt === null) {",
        replace: "if ((left && !left.terminating) || removedAt === null) {",
      },
    ],
  },
  {
    name: "compute that disappeared is made again",
    edits: [
      {
        file: "environments/preparing.ts",
        find: "return environment.run.appliedAt === null ? makeRun(ctx, environment, now) : missRun(ctx, environment, now);",
        replace: "return makeRun(ctx, environment, now);",
      },
    ],
  },
  {
    name: "an end decided on an old read",
    edits: [
      {
        file: "reconcile.ts",
        find: "const record = await writeRecord(ctx, step.record);",
        replace: "const record = step.record;\n  await ctx.table.put(record);",
      },
    ],
  },
  {
    name: "disk lease before the environment",
    edits: [
      {
        file: "environments/create.ts",
        find: "  await writeSpec(ctx, key, { uid, spec: uid }, input);\n",
        replace:
          "  if (lease) await writeLease(ctx, lease, wanted);\n  await writeSpec(ctx, key, { uid, spec: uid }, input);\n",
      },
      {
        file: "environments/create.ts",
        find: "  if (lease) await confirmLease(ctx, await writeLease(ctx, lease, head));\n",
        replace: "",
      },
    ],
  },
  {
    name: "disk lease not checked when the grant is taken",
    edits: [
      {
        file: "environments/disk.ts",
        find: 'if (!environment.disk) return { kind: "ready", zone: null };',
        replace: 'if (!environment.disk || environment.waitPool !== undefined) return { kind: "ready", zone: null };',
      },
      {
        file: "environments/disk.ts",
        find: "if (disk?.heldBy?.uid !== environment.uid) return undefined;",
        replace: "if (!disk) return undefined;",
      },
    ],
  },
  {
    name: "ReadWriteOnce for ReadWriteOncePod",
    edits: [
      {
        file: "../testing/memory-cluster.ts",
        find: "if (isMountedElsewhere(world, it)) return false;",
        replace: "if (isMountedElsewhere(world, it) && it.nodes.length > 0) return false;",
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
    name: "a second CreateSnapshot after a time-out with effect",
    edits: [{ file: "environments/backup.ts", find: 'state !== "failed" &&', replace: 'state === "completed" &&' }],
  },
  {
    name: "a backup given up while another may still be made",
    edits: [{ file: "environments/backup.ts", find: "const CLAIM_MS = 60_000;", replace: "const CLAIM_MS = 2_000;" }],
  },
  {
    name: "a revoked key remembered for too long",
    edits: [{ file: "../http/key-check.ts", find: "const MEMORY_MS = 30_000;", replace: "const MEMORY_MS = 300_000;" }],
  },
  {
    name: "a revocation that only its user's record knows",
    edits: [
      {
        file: "users/keys.ts",
        find: 'return record ? "ended" : "over";',
        replace:
          'if (record) await ctx.table.put({ ...record, revokedAt: null });\n  return record ? "ended" : "over";',
      },
    ],
  },
  {
    name: "a request for access forgotten at the end",
    edits: [
      {
        file: "environments/finish.ts",
        find: "until(closeOwn(closed, now), now",
        replace: "until(closed, now",
      },
    ],
  },
  {
    name: "chat without a claim",
    edits: [
      {
        file: "chat/deliver.ts",
        find: "const record = { ...inbox, claim, claims: attempt,",
        replace: "const record = { ...inbox, claim: null, claims: attempt,",
      },
    ],
  },
  {
    name: "a message settled before it is posted",
    edits: [
      {
        file: "chat/deliver.ts",
        find: "const record = { ...inbox, claim, claims: attempt,",
        replace: "const record = { ...inbox, settled: message.n, claim, claims: attempt,",
      },
    ],
  },
  {
    name: "a message whose inbox is not told of it",
    edits: [
      {
        file: "chat/post.ts",
        find: "await changeInbox(ctx, environment, (inbox) => inbox);",
        replace: "await changeInbox(ctx, environment, (inbox) => (inbox.writers.length === 0 ? inbox : undefined));",
      },
    ],
  },
  {
    name: "the cursor moved before the delivery is put",
    edits: [
      {
        file: "webhooks/outbox.ts",
        find: "  await Promise.all(events.map((event) => writeRecord(ctx, event)));\n  return {",
        replace: "  return {",
      },
      {
        file: "webhooks/outbox.ts",
        find: "const { told, deliveries } = await emitEvents(ctx, environment, now);\n  return {",
        replace: `const { told, deliveries } = await emitEvents(ctx, environment, now);
  const receiver = receiverOf(environment);
  const untold = environment.timeline.filter(({ n }) => n > environment.emitted);
  const events = receiver ? untold.map((entry) => newDelivery(ctx, environment, entry, receiver, now)) : [];
  return {
    act: () => Promise.all(events.map((event) => writeRecord(ctx, event))),`,
      },
    ],
  },
  {
    name: "a webhook posted without a claim",
    edits: [
      {
        file: "webhooks/deliver.ts",
        find: "return writeRecord(ctx, claimed);",
        replace: "await ctx.table.put(claimed);\n  return claimed;",
      },
    ],
  },
  {
    name: "idle decision on a stale head",
    edits: [
      {
        file: "reconcile.ts",
        find: "const record = await writeRecord(ctx, step.record);",
        replace:
          'const isIdle = item.phase === "active" && (step.record as unknown as Item).reason === "auto-stop";\n' +
          "  const head = isIdle ? ((await ctx.table.get(key)) ?? item) : item;\n" +
          "  const record = await writeRecord(ctx, { ...step.record, writers: head.writers });",
      },
    ],
  },
  {
    name: "the stopped environment's volume removed",
    edits: [
      {
        file: "environments/finish.ts",
        find: "const cleared = clears ? await",
        replace: "const cleared = clears || environment.starts > 0 ? await",
      },
    ],
  },
  {
    name: "a sweep without its cursor",
    edits: [
      {
        file: "sweep.ts",
        find: "const after = Math.max(sentUpTo(cursor, now), overdue.to);",
        replace: "const after = overdue.to;",
      },
    ],
  },
  {
    name: "a sweep that repeats nothing that is overdue",
    edits: [
      {
        file: "sweep.ts",
        find: "isBehind ? [overdue, ahead] : [overdue]",
        replace: "isBehind ? [ahead] : []",
      },
    ],
  },
  {
    name: "the sealed specification kept",
    edits: [
      {
        file: "environments/spec.ts",
        find: "await Promise.all(page.items.map((item) => removeRecord(ctx, item)));",
        replace: "",
      },
    ],
  },
  {
    name: "the specification of a start that came to nothing kept",
    edits: [
      {
        file: "environments/spec.ts",
        find: "await Promise.all(page.items.map((item) => removeRecord(ctx, item)));",
        replace:
          "await Promise.all(page.items.filter(({ sk }) => sk === environment.spec).map((item) => removeRecord(ctx, item)));",
      },
    ],
  },
  {
    name: "volumes that were made late forgotten",
    edits: [
      {
        file: "environments/own-volumes.ts",
        find: "if (due.length === 0) return undefined;",
        replace: "if (due.length >= 0) return undefined;",
      },
    ],
  },
  {
    name: "release before 26 s",
    edits: [{ file: "environments/release.ts", find: "LATE_START_MS = 28_000", replace: "LATE_START_MS = 0" }],
  },
  {
    name: "the mark that a run is begun written after it",
    edits: [
      {
        file: "environments/preparing.ts",
        find: "if (environment.run.applyingAt === null) {",
        replace: "if (environment.run.applyingAt === undefined) {",
      },
      {
        file: "environments/make-run.ts",
        find: "run: { ...environment.run, appliedAt: now,",
        replace: "run: { ...environment.run, applyingAt: now, appliedAt: now,",
      },
    ],
  },
  {
    name: "expired where the run had completed",
    edits: [
      {
        file: "environments/ending.ts",
        find: "if (!outcome?.isLimit || exitCode === null",
        replace: "if (!outcome?.isLimit || outcome.at > 0 || exitCode === null",
      },
    ],
  },
  {
    name: "an owner is charged for what was tried",
    test: "pools/plan.test.ts",
    edits: [
      {
        file: "pools/plan.ts",
        find: "    const endsAt = input.now + entry.size.wantedMs;",
        replace: "    charge(usage, entry);\n    const endsAt = input.now + entry.size.wantedMs;",
      },
      { file: "pools/plan.ts", find: "    charge(usage, entry);\n    grants.push", replace: "    grants.push" },
    ],
  },
  {
    name: "one owner's line hides those behind it",
    test: "pools/long-lines.test.ts",
    edits: [
      {
        file: "pools/lines.ts",
        find: "place = isCut ? { from: endOfLine(owner) } :",
        replace: "place = isCut ? undefined :",
      },
    ],
  },
  {
    name: "every plan begins with the same owner",
    test: "pools/waiting.test.ts",
    edits: [{ file: "pools/waiting.ts", find: "pool.reach.last, occupied", replace: "null, occupied" }],
  },
  {
    name: "recent use ignored",
    test: "pools/used.test.ts",
    edits: [{ file: "pools/fair-order.ts", find: "a.used - b.used || ", replace: "" }],
  },
  {
    name: "the limit of those who wait not checked",
    test: "pools/long-lines.test.ts",
    edits: [{ file: "environments/create.ts", find: "  await refuseFullLine(ctx, input.size.pool);\n", replace: "" }],
  },
  {
    name: "a machine is lost whatever its provider says",
    test: "environments/lost-node.test.ts",
    edits: [
      {
        file: "environments/lost-node.ts",
        find: "return await ctx.compute.machineOf(machine);",
        replace: 'return "gone";',
      },
    ],
  },
  {
    name: "one missing node object taken for a lost machine",
    test: "environments/lost-node.test.ts",
    edits: [
      {
        file: "environments/lost-node.ts",
        find: "missing: 10_000, notReady: 300_000",
        replace: "missing: 0, notReady: 300_000",
      },
    ],
  },
  {
    name: "a lost machine is never let go",
    test: "environments/lost-node.test.ts",
    edits: [
      {
        file: "environments/ending.ts",
        find: "force: mayForce(environment, lost, now) });",
        replace: "force: mayForce(environment, lost, now) && run < 0 });",
      },
    ],
  },
  {
    name: "units of a lost machine given again",
    test: "environments/lost-node.test.ts",
    edits: [{ file: "pools/settle.ts", find: "(silent.has(node.uid) ?", replace: "(silent.has(node.name) ?" }],
  },
  {
    name: "volumes taken by force from a machine that runs",
    test: "environments/lost-node.test.ts",
    edits: [
      {
        file: "environments/lost-node.ts",
        find: "  if (lost) await Promise.all(attached",
        replace: "  await Promise.all(attached",
      },
    ],
  },
  {
    name: "the operator's word never ends",
    test: "environments/lost-node.test.ts",
    edits: [{ file: "pools/node-gone.ts", find: "WORD_MS = 24 * 3_600_000", replace: "WORD_MS = 2_400 * 3_600_000" }],
  },
  {
    name: "a node's name reused",
    test: "pools/bad-nodes.test.ts",
    edits: [{ file: "pools/pool-nodes.ts", find: " || node.uid !== mine.node.uid", replace: "" }],
  },
  {
    name: "a machine with another label is another machine",
    test: "pools/bad-nodes.test.ts",
    edits: [
      {
        file: "pools/pool-nodes.ts",
        find: "for (const { type, nodes } of pools) for (const node of nodes) claim",
        replace: "for (const { type, nodes } of pools.slice(0, 0)) for (const node of nodes) claim",
      },
    ],
  },
  {
    name: "a volume made before it is named",
    edits: [
      {
        file: "environments/disk.ts",
        find: "const named = isListed ? disk : await written(ctx, withMaking(disk, listMaking(disk.making, entry)));",
        replace: "const named = disk;",
      },
    ],
  },
  {
    name: "an environment's own volume made before it is named",
    edits: [
      {
        file: "environments/own-volumes.ts",
        find: "if (unlisted.length > 0) {",
        replace: "if (unlisted.length < 0) {",
      },
    ],
  },
  {
    name: "a snapshot made before it is named",
    edits: [
      {
        file: "environments/backup.ts",
        find: "  await listSnapshotMaking(ctx, disk, tags.attempt, volumeId);\n",
        replace: "",
      },
      {
        file: "environments/backup.ts",
        find: "import { listSnapshotMaking, lookForVolume,",
        replace: "import { lookForVolume,",
      },
    ],
  },
  {
    name: "a making forgotten before 10 minutes",
    edits: [{ file: "making.ts", find: "return at + LAST_CALL_MS + LISTED_MS;", replace: "return at + 1000;" }],
  },
  {
    name: "the token without zone",
    test: "disks/making.test.ts",
    edits: [{ file: "making.ts", find: "      one.zone === zone &&\n", replace: "" }],
  },
  {
    name: "restore takes the oldest",
    test: "disks/restore.test.ts",
    edits: [{ file: "environments/disk.ts", find: "disk.snapshots.toReversed()", replace: "disk.snapshots" }],
  },
  {
    name: "thinning removes the newest",
    test: "disks/restore.test.ts",
    edits: [
      {
        file: "disks/step.ts",
        find: "there.slice(0, Math.max(0, there.length - KEPT_SNAPSHOTS))",
        replace: "there.slice(KEPT_SNAPSHOTS)",
      },
    ],
  },
  {
    name: "a snapshot thinned while a restore is made from it",
    test: "disks/restore.test.ts",
    edits: [
      {
        file: "disks/step.ts",
        find: ".filter(({ id }) => !sources.has(id));",
        replace: '.filter(({ id }) => id !== "" || sources.has(id));',
      },
    ],
  },
];
