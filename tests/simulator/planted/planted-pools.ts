import type { PlantedBug } from "./plant.ts";

export const poolBugs: readonly PlantedBug[] = [
  {
    name: "all new disks in the first zone of their group",
    caughtBy: {
      file: "pools/capacity/groups.test.ts",
      title: "new disks of jobs that wait for machines are in all zones of the group, but in none that lacked machines",
    },
    edits: [
      {
        file: "pools/ledger/shortage.ts",
        find: "return best[number % best.length];",
        replace: "return best.length > 0 && number >= 0 ? zones[0] : undefined;",
      },
    ],
  },
  {
    name: "a run blamed for a machine that came in another zone",
    edits: [
      {
        file: "pools/plan/revocation-cause.ts",
        find: "isInZone(node, wanted) &&",
        replace: "isInZone(node, wanted && null) &&",
      },
    ],
  },
  {
    name: "a zone without machines pauses all zones",
    caughtBy: {
      file: "pools/capacity/shortage.test.ts",
      title: "a job whose disk is in an empty zone pauses no job that can run in another, and says where it waits",
    },
    edits: [
      {
        file: "pools/ledger/shortage.ts",
        find: "if (zone === undefined) return { ...makeable, shortage };",
        replace: "if (zone !== '') return { ...makeable, shortage };",
      },
    ],
  },
  {
    name: "machines of one job in two zones",
    edits: [
      {
        file: "pools/plan/zones.ts",
        find: "if (machines === 1 || zone !== null) return [zone];",
        replace: "if (machines >= 1 || zone !== null) return [zone];",
      },
    ],
  },
  {
    name: "two machines granted to a job of more",
    edits: [
      {
        file: "pools/plan/free-units.ts",
        find: "return found.length === need.machines ? found : undefined;",
        replace: "return found.length >= Math.min(need.machines, 2) ? found : undefined;",
      },
    ],
  },
  {
    name: "a try counted although no machine came",
    caughtBy: {
      file: "pools/capacity/shortage.test.ts",
      title: "tries of a group without capacity become rarer, and only the limit of the queue ends the job",
    },
    edits: [
      {
        file: "pools/plan/revocation-cause.ts",
        find: 'return blamesRun ? undefined : { why: "unmade" };',
        replace: "return undefined;",
      },
    ],
  },
  {
    name: "a run that waits a minute on a machine that refuses it",
    caughtBy: {
      file: "environments/steps/start/return-reason.test.ts",
      title: "a run that its own machine refuses is withdrawn as soon as the pool knows, and starts on another",
    },
    edits: [
      {
        file: "environments/steps/start/preparing.ts",
        find: "if (reason === null || isUnpinned(environment)) return undefined;",
        replace: "if (reason !== undefined) return undefined;",
      },
    ],
  },
  {
    name: "a Capacity Block counted before its start",
    caughtBy: {
      file: "pools/capacity/machine-groups.test.ts",
      title: "a job waits for the start of a Capacity Block, and says when that is",
    },
    edits: [
      {
        file: "pools/capacity/machine-groups.ts",
        find: "startsAt <= now;",
        replace: "startsAt !== undefined;",
      },
    ],
  },
  {
    name: "a health issue of one zone taken for one of the whole group",
    caughtBy: {
      file: "pools/capacity/machine-groups.test.ts",
      title: "a group that lacks machines in one of its zones pauses only jobs that must be there",
    },
    edits: [
      {
        file: "pools/capacity/machine-groups.ts",
        find: "return lacks === undefined || lacksIn !== undefined;",
        replace: "return lacks === undefined && lacksIn === undefined;",
      },
    ],
  },
  {
    name: "a group without machines counted beside a healthy one",
    caughtBy: {
      file: "pools/capacity/machine-groups.test.ts",
      title: "uses another group of the type while one lacks machines",
    },
    edits: [
      {
        file: "pools/capacity/machine-groups.ts",
        find: "healthy.length > 0 ? started.filter(isHealthy) : started;",
        replace: "started;",
      },
    ],
  },
  {
    name: "a shortage that a new machine does not end",
    caughtBy: {
      file: "pools/capacity/shortage.test.ts",
      title: "a machine that comes during the pause starts the job, and ends the shortage for others",
    },
    edits: [
      {
        file: "pools/capacity/write-machines.ts",
        find: "{ ...whole, ...endShortages(whole, zones) }",
        replace: "zones.length > 0 ? whole : { ...whole, ...endShortages(whole, zones) }",
      },
    ],
  },
  {
    name: "a refusal of the cluster that passes counted as a try",
    caughtBy: {
      file: "environments/steps/start/refused-for-now.test.ts",
      title: "waits through an evening, shows why, and starts once the refusal is over",
    },
    edits: [
      {
        file: "pools/plan/revocation-cause.ts",
        find: 'if (run.refusedForNow) return { why: "refused" };',
        replace: "",
      },
    ],
  },
  {
    name: "grants dropped after a time",
    edits: [
      {
        file: "pools/ledger/reconcile-ledger.ts",
        find: "mayStillTake(grant, knownEnvironments.get(grant.key)) ?",
        replace: "mayStillTake(grant, knownEnvironments.get(grant.key)) && now - grant.at < 5000 ?",
      },
    ],
  },
  {
    name: "a move without a new look at the ledger",
    edits: [
      {
        file: "pools/ledger/write-ledger.ts",
        find: "return (await writeRecord(ctx, only)) !== undefined;",
        replace: "return ctx.table.put({ ...only, writers: [ctx.ids.uid(), ...only.writers] }).then(() => true);",
      },
    ],
  },
  {
    name: "a record read before the ledger item that it decides on",
    edits: [
      {
        file: "pools/plan/planner.ts",
        find: "const before = await readLedgerForPlan(ctx, pool);",
        replace: "const stale = await readByKey(ctx, named);\n  const before = await readLedgerForPlan(ctx, pool);",
      },
      {
        file: "pools/plan/planner.ts",
        find: "const { records } = await readByKey(ctx, named);\n  const now",
        replace: "const { records } = stale;\n  const now",
      },
    ],
  },
  {
    name: "a holder whose key is no key taken for a gone one",
    caughtBy: {
      file: "store/unreadable.test.ts",
      title: "a disk whose holder's key is no key stays with that holder, who runs on and returns it",
    },
    edits: [
      {
        file: "pools/ledger/read-by-key.ts",
        find: "new Set([...unreadable, ...noKeys])",
        replace: "new Set([...unreadable, ...noKeys.slice(noKeys.length)])",
      },
    ],
  },
  {
    name: "the run compared instead of the grant",
    caughtBy: {
      file: "pools/capacity/groups.test.ts",
      title: "a run that two planners granted takes one grant, and the other is dropped",
    },
    edits: [
      {
        file: "pools/ledger/reconcile-ledger.ts",
        find: "record.run.grant?.id === grant;",
        replace: "record.run.grant !== null && grant !== null;",
      },
    ],
  },
  {
    name: "a new pool's ledger read after the cluster was listed",
    caughtBy: {
      file: "pools/capacity/bad-nodes.test.ts",
      title: "a listing older than a new pool removes no machine that arrived meanwhile",
    },
    edits: [
      {
        file: "pools/capacity/write-listing.ts",
        find: "return isThere ? writePool(ctx, { type, nodes: [], grows }, found, taken) : false;",
        replace:
          "const begun = isThere && typeof isThere === 'object' ? (await readLedger(ctx, isThere)).nodes : [];\n" +
          "  return isThere ? writePool(ctx, { type, nodes: begun, grows }, found, taken) : false;",
      },
      {
        file: "pools/capacity/write-listing.ts",
        find: "import { nodeLedgerKey }",
        replace: "import { nodeLedgerKey, readLedger }",
      },
    ],
  },
  {
    name: "a node removed although somebody was given some of it meanwhile",
    caughtBy: {
      file: "pools/capacity/bad-nodes.test.ts",
      title: "keeps a machine that is granted while a listing without it is written until its record ends",
    },
    edits: [
      {
        file: "pools/capacity/write-machines.ts",
        find: "removeRecord(ctx, node)",
        replace:
          "ctx.table.get(node).then((one) => one && ctx.table.remove(node, { ifWriter: one.writers[0] ?? '' })).then(() => true)",
      },
    ],
  },
  {
    name: "unpinned units forgotten when the node comes",
    caughtBy: {
      file: "pools/capacity/groups.test.ts",
      title: "does not grant a new machine to another job before the job that waits for it is bound",
    },
    edits: [
      {
        file: "pools/plan/plan-input.ts",
        find: "occupied: occupiedOn(ledger, usable),",
        replace:
          "occupied: occupiedOn({ ...ledger, held: ledger.held.filter(({ shares }) => shares[0]?.node) }, usable),",
      },
    ],
  },
  {
    name: "a machine that comes unknown to who gives one still to be made",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "a planner that has not seen the new machine grants no second one beside it",
    },
    edits: [
      {
        file: "pools/capacity/write-machines.ts",
        find: "[...makeable, ...some]",
        replace: "some",
      },
    ],
  },
  {
    name: "a machine added beside those to be made that a newer worker counts",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "an older worker adds no machine if `makeable` has a newer format",
    },
    edits: [
      {
        file: "pools/capacity/write-machines.ts",
        find: "error.isNewer ? undefined : []",
        replace: "[]",
      },
    ],
  },
  {
    name: "who waits for a machine read before the machines",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "a planner that has not seen the job that waits for the new machine does not grant it to another",
    },
    edits: [
      {
        file: "pools/ledger/ledger.ts",
        find: "if (first?.writers[0] !== last?.writers[0]) throw",
        replace: "if (first?.kind !== last?.kind && first) throw",
      },
    ],
  },
  {
    name: "an unpinned run held nowhere until it is ready",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "a job that waited for a new machine holds the one that it is bound to before it is ready",
    },
    edits: [
      {
        file: "environments/steps/start/preparing.ts",
        find: "{ ...onItsMachines(moved, observed), looks: 0 }",
        replace: "{ ...(observed.nodes.length < 0 ? onItsMachines(moved, observed) : moved), looks: 0 }",
      },
    ],
  },
  {
    name: "a run blamed for a machine that the cluster gave to another",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "a job whose machine the cluster gave to another starts elsewhere, and neither is blamed",
    },
    edits: [
      {
        file: "pools/plan/revocation-cause.ts",
        find: "othersOn(node, environment.uid) + units > node.units",
        replace: "othersOn(node, environment.uid) + units > node.units * 9",
      },
    ],
  },
  {
    name: "a run blamed for a cluster that said nothing of it",
    caughtBy: {
      file: "environments/steps/life.test.ts",
      title: "a try about which the cluster reports nothing is not counted, and sets no machine aside",
    },
    edits: [
      {
        file: "pools/plan/revocation-cause.ts",
        find: "return reason === null &&",
        replace: 'return reason === "" &&',
      },
    ],
  },
  {
    name: "a run blamed for a machine that does not answer",
    caughtBy: {
      file: "environments/steps/life.test.ts",
      title: "a try on a machine that does not answer is not counted",
    },
    edits: [
      {
        file: "pools/plan/revocation-cause.ts",
        find: "!node.ready || node.gone",
        replace: "node.gone",
      },
    ],
  },
  {
    name: "an owner is charged for a machine on which nothing could start",
    caughtBy: {
      file: "pools/ledger/usage.test.ts",
      title: "an uncounted try charges no owner: units given back because nothing bound it is no usage and no duration",
    },
    edits: [
      {
        file: "pools/ledger/usage.ts",
        find: "return record.placement.withdrawn?.run === n ||",
        replace: "return",
      },
    ],
  },
  {
    name: "who stays past its end promised to be gone at once",
    caughtBy: {
      file: "pools/plan/plan.test.ts",
      title: "an expired job is expected to end soon, and one that stays long to take as long again",
    },
    edits: [
      {
        file: "pools/plan/reservation.ts",
        find: "Math.max(REMOVAL_MS, now - endsAt)",
        replace: "REMOVAL_MS",
      },
    ],
  },
  {
    name: "the first in line waits without a limit",
    caughtBy: {
      file: "environments/steps/start/queue-limit.test.ts",
      title: "the first job in the queue is cancelled after twice the limit if its start is postponed repeatedly",
    },
    edits: [
      {
        file: "environments/steps/overdue.ts",
        find: "const hours = queueHours(settings, true);",
        replace: "const hours = 1_000 * queueHours(settings, true);",
      },
    ],
  },
  {
    name: "a grant of several machines written item by item",
    caughtBy: { file: "pools/ledger/write-ledger.test.ts", title: "grants all or none of several machines" },
    edits: [
      {
        file: "pools/ledger/write-ledger.ts",
        find: "return writeRecords(ctx, batch);",
        replace: "return Promise.all(batch.map((item) => writeRecord(ctx, item))).then((all) => all.some(Boolean));",
      },
    ],
  },
  {
    name: "an owner is charged for what was tried",
    caughtBy: {
      file: "pools/plan/plan.test.ts",
      title: "charges an owner for grants, not for tries",
    },
    edits: [
      {
        file: "pools/plan/admit.ts",
        find: "    const endsAt = input.now + entry.size.wantedMs;",
        replace: "    charge(usage, entry);\n    const endsAt = input.now + entry.size.wantedMs;",
      },
      { file: "pools/plan/admit.ts", find: "    charge(usage, entry);\n    fix(placed);", replace: "    fix(placed);" },
    ],
  },
  {
    name: "one owner's line hides those behind it",
    caughtBy: {
      file: "pools/plan/long-lines.test.ts",
      title: "an owner's first job starts before the second of an owner with 2,100 waiting jobs",
    },
    edits: [
      {
        file: "pools/ledger/waiting-list.ts",
        find: "place = isCut ? { from: endOfLine(owner) } :",
        replace: "place = isCut ? undefined :",
      },
    ],
  },
  {
    name: "every plan begins with the same owner",
    caughtBy: {
      file: "pools/plan/waiting.test.ts",
      title: "a plan begins after the last owner of the plan before",
    },
    edits: [{ file: "pools/plan/waiting.ts", find: "pool.reach.last, occupied", replace: "null, occupied" }],
  },
  {
    name: "recent use ignored",
    caughtBy: {
      file: "pools/ledger/usage.test.ts",
      title: "the owner with less recent use starts first, although the other has waited longer and both hold nothing",
    },
    edits: [{ file: "pools/plan/fair-order.ts", find: "a.used - b.used || ", replace: "" }],
  },
  {
    name: "the limit of those who wait not checked",
    caughtBy: {
      file: "pools/plan/long-lines.test.ts",
      title: "refuses a submit above the limit and leaves nothing; other pools and users are unaffected",
    },
    edits: [
      { file: "environments/verbs/create.ts", find: "  await refuseFullLine(ctx, input.size.pool);\n", replace: "" },
    ],
  },
  {
    name: "a drained pool grants",
    edits: [
      {
        file: "pools/plan/admit.ts",
        find: "const placed = input.closed ? undefined : free.take(",
        replace: "const placed = free.take(",
      },
      {
        file: "environments/steps/start/take-grant.ts",
        find: "if (!grant || pool?.closed) return undefined;",
        replace: "if (!grant) return undefined;",
      },
    ],
  },
  {
    name: "a drained machine gets grants",
    caughtBy: {
      file: "pools/admission/drain-part.test.ts",
      title: "a drained machine starts nothing, keeps what runs there, and starts jobs again after the undrain",
    },
    edits: [
      {
        file: "pools/plan/plan-input.ts",
        find: "drained.length === 0 ? ready : ready.filter((node) => !isInParts(drained, node))",
        replace: "ready",
      },
      {
        file: "environments/steps/start/take-grant.ts",
        find: "!isOpen || pinned.some((node) => isInParts(closedNow, node))",
        replace: "!isOpen",
      },
    ],
  },
  {
    name: "a grant is taken although its machine was drained since",
    caughtBy: {
      file: "pools/admission/drain-part.test.ts",
      title: "a grant made while its machine is drained is not taken, and the job starts on another machine",
    },
    edits: [
      {
        file: "environments/steps/start/take-grant.ts",
        find: "!isOpen || pinned.some((node) => isInParts(closedNow, node))",
        replace: "!isOpen",
      },
    ],
  },
  {
    name: "a job that outlives a planned drain starts there",
    caughtBy: {
      file: "pools/admission/planned-drain.test.ts",
      title: "until the drain, only jobs that end by then start on the machine, and a longer one names the drain",
    },
    edits: [
      {
        file: "pools/plan/closings.ts",
        find: "if (!closings || closings.size === 0) return undefined;",
        replace: "if (closings) return undefined;",
      },
      {
        file: "pools/plan/closings.ts",
        find: "firstUnfit < 0 ? Infinity : (ends[firstUnfit - 1] ?? -Infinity)",
        replace: "firstUnfit === 0 ? -Infinity : Infinity",
      },
      {
        file: "pools/capacity/pool-parts.ts",
        find: "plannedDrains.filter(({ from }) => from < endsAt)",
        replace: "plannedDrains.filter(({ from }) => from < 0)",
      },
    ],
  },
  {
    name: "a planned drain is not respected by a grant that did not see it",
    caughtBy: {
      file: "pools/admission/planned-drain.test.ts",
      title: "a drain that a grant did not see is respected when the job takes the grant",
    },
    edits: [
      {
        file: "pools/capacity/pool-parts.ts",
        find: "plannedDrains.filter(({ from }) => from < endsAt)",
        replace: "plannedDrains.filter(({ from }) => from < 0)",
      },
    ],
  },
  {
    name: "a drain never begins at its time",
    caughtBy: {
      file: "pools/admission/planned-drain.test.ts",
      title: "at its time a machine is drained although nothing ran then, and runs there continue",
    },
    edits: [
      {
        file: "pools/ledger/record.ts",
        find: "plannedDrains?.filter(({ from }) => from <= clock.now())",
        replace: "plannedDrains?.filter(({ from }) => from <= 0)",
      },
    ],
  },
  {
    name: "the ledger names somebody twice",
    edits: [
      {
        file: "pools/ledger/reconcile-ledger.ts",
        find: "record.run.n === grant.run && isWaiting(record);",
        replace: "record.run.n === grant.run && (isWaiting(record) || holdsCapacity(record, grant.run));",
      },
    ],
  },
  {
    name: "capacity that comes free and nobody is told",
    caughtBy: {
      file: "environments/steps/end/release.test.ts",
      title: "are free after the end even if the worker died before telling the pool",
    },
    edits: [
      {
        file: "environments/steps/end/ending.ts",
        find: 'return notifyPool(changed(released, now, "released"));',
        replace: 'return changed(released, now, "released");',
      },
    ],
  },
  {
    name: "of several shares of a node only the last counted",
    edits: [
      {
        file: "pools/plan/new-machines.ts",
        find: "if (index !== undefined) used[index] = (used[index] ?? 0) + share.units;",
        replace: "if (index !== undefined) used[index] = share.units;",
      },
    ],
  },
  {
    name: "recent use never forgotten",
    caughtBy: {
      file: "pools/ledger/usage.test.ts",
      title: "usage halves in a day, and is zero after a month",
    },
    edits: [
      {
        file: "pools/ledger/usage.ts",
        find: "HALF_LIFE_MS = 24 * HOUR_MS",
        replace: "HALF_LIFE_MS = 24_000 * HOUR_MS",
      },
    ],
  },
  {
    name: "an old listing of machines written",
    caughtBy: {
      file: "pools/capacity/bad-nodes.test.ts",
      title: "a listing that is too old when it is written changes nothing",
    },
    edits: [
      {
        file: "pools/capacity/capacity.ts",
        find: "const TOO_OLD_MS = 40_000;",
        replace: "const TOO_OLD_MS = 40_000_000;",
      },
    ],
  },
  {
    name: "a lost ledger item made anew without who runs there",
    caughtBy: {
      file: "pools/ledger/lost-items.test.ts",
      title: "does not grant a machine with a lost ledger item again while a job runs there",
    },
    edits: [
      {
        file: "pools/capacity/write-machines.ts",
        find: "const held = taken.of(keyText(key));",
        replace: "const held = taken.of(keyText(key)).slice(99);",
      },
    ],
  },
  {
    name: "units granted as the index shows them",
    caughtBy: {
      file: "pools/plan/planner.test.ts",
      title: "an environment restarted with more units gets all of them while the index shows the start before",
    },
    edits: [
      {
        file: "pools/admission/decide.ts",
        find: "if (!sameData(current, { ...candidate, image: undefined })) corrections.set",
        replace: "if (current?.uid !== candidate.uid) corrections.set",
      },
    ],
  },
  {
    name: "any number of grants in the item of machines still to be made",
    caughtBy: {
      file: "pools/capacity/groups.test.ts",
      title: "limits jobs that wait for new machines to the size of their ledger item, and shows later ones why",
    },
    edits: [{ file: "pools/plan/plan-input.ts", find: "MOST_UNPINNED = 500", replace: "MOST_UNPINNED = 500_000" }],
  },
  {
    name: "an item that the table does not take stops the plan",
    caughtBy: {
      file: "pools/ledger/write-ledger.test.ts",
      title: "loses only the grants on a node whose item the table rejects",
    },
    edits: [
      {
        file: "pools/ledger/write-ledger.ts",
        find: "String(error).slice(0, MOST_LOGGED) });\n    return false;",
        replace: "String(error).slice(0, MOST_LOGGED) });\n    throw error;",
      },
    ],
  },
  {
    name: "a pool whose plan fails stops the rest of its batch",
    caughtBy: {
      file: "pools/plan/planner.test.ts",
      title: "a pool whose plan fails blocks no other pool of its batch, and is retried alone",
    },
    edits: [{ file: "pools/plan/planner.ts", find: "failed.add(recordKey);", replace: "throw error;" }],
  },
  {
    name: "a pool whose plan failed waits for the sweep",
    caughtBy: {
      file: "pools/plan/planner.test.ts",
      title: "a pool whose plan fails blocks no other pool of its batch, and is retried alone",
    },
    edits: [{ file: "pools/plan/planner.ts", find: "failed.has(recordKey) || left", replace: "left" }],
  },
  {
    name: "the moment of a pool lost among those who are named",
    caughtBy: {
      file: "pools/plan/planner.test.ts",
      title:
        "a slightly early message for a pool is sent again, even if it was merged with one that names environments",
    },
    edits: [{ file: "pools/plan/planner.ts", find: "if (isTimed)", replace: "if (named.length === 0)" }],
  },
  {
    name: "advice waits for the moment of a clock that was ahead",
    caughtBy: { file: "pools/plan/planner.test.ts", title: "a plan by a clock that was ahead delays no later plan" },
    edits: [{ file: "pools/plan/head-after-plan.ts", find: " || advisedAt > now;", replace: ";" }],
  },
  {
    name: "a pool believed to be due in an hour",
    caughtBy: {
      file: "pools/plan/planner.test.ts",
      title: "plans a pool that a fast clock postponed by an hour",
    },
    edits: [{ file: "reconciler/clamp-due.ts", find: "POOL_MS = 3 * MINUTE_MS", replace: "POOL_MS = 300 * MINUTE_MS" }],
  },
  {
    name: "whatever is there of a uid that the ledger names counted as named",
    caughtBy: {
      file: "pools/capacity/bad-nodes.test.ts",
      title: "counts the units of an earlier run on a machine beside the present run of its environment",
    },
    edits: [
      {
        file: "pools/capacity/pool-nodes.ts",
        find: "Math.max(0, units - (named.get(uid) ?? 0))",
        replace: "(named.has(uid) ? 0 : units)",
      },
    ],
  },
  {
    name: "capacity given while nobody knows who waits for new machines",
    caughtBy: {
      file: "pools/capacity/groups.test.ts",
      title: "grants nothing in a pool whose item of new machines is unreadable, and says why",
    },
    edits: [{ file: "pools/plan/plan-input.ts", find: '(isBlind(ledger) ? "unreadable" : null)', replace: "null" }],
  },
  {
    name: "a lost ledger item made anew although nobody can read who runs there",
    caughtBy: {
      file: "pools/ledger/lost-items.test.ts",
      title: "grants a machine with a lost ledger item to no job while a record that names it is unreadable",
    },
    edits: [
      {
        file: "pools/capacity/write-machines.ts",
        find: "if (taken.isUnsure(keyText(key))) {",
        replace: "if (!key.pk) {",
      },
    ],
  },
  {
    name: "a lost item made anew although a record that cannot be read is bound to its node object",
    caughtBy: {
      file: "pools/ledger/lost-items.test.ts",
      title:
        "does not recreate the lost ledger item of a machine while the record of the run placed there is unreadable",
    },
    edits: [
      { file: "pools/ledger/allocations-from-records.ts", find: " || text.includes(quotedUid(item))", replace: "" },
    ],
  },
  {
    name: "a holding made anew beside one in an item that cannot be read",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title:
        "a run that moved to its machine while another one came, and whose machine's ledger item cannot be read, is not held twice",
    },
    edits: [
      {
        file: "pools/ledger/allocations-from-records.ts",
        find: "if (items.unreadable.size > 0) return undefined;",
        replace: "if (items.records.length < 0) return undefined;",
      },
    ],
  },
  {
    name: "a machine that comes while the item of who waits for it is lost given to another",
    caughtBy: {
      file: "pools/ledger/lost-items.test.ts",
      title: "keeps a new machine for the job that waits for it although its ledger item was lost",
    },
    edits: [{ file: "pools/capacity/write-machines.ts", find: "!grantIds.has(grant)", replace: "grantIds.has(grant)" }],
  },
  {
    name: "a group without an end in the provider's answer loses the one that was planned",
    edits: [
      {
        file: "pools/capacity/group-ends.ts",
        find: "return [...kept, ...found.map(",
        replace: "return [...kept.slice(0, 0), ...found.map(",
      },
    ],
  },
  {
    name: "an operator's undrain drops the end that a provider sets",
    caughtBy: {
      file: "pools/capacity/group-ends.test.ts",
      title: "operators cannot reopen the group of an end, at no instant, and their own drains of it stay",
    },
    edits: [
      {
        file: "pools/admission/drain-part.ts",
        find: "known.byProvider === true || known.type !== type",
        replace: "known.type !== type",
      },
    ],
  },
  {
    name: "known machines written after the records were read for a new one",
    caughtBy: {
      file: "pools/capacity/new-machines.test.ts",
      title: "writes the known machines if the records for a new one cannot be read, and reports the failure",
    },
    edits: [
      {
        file: "pools/capacity/write-listing.ts",
        find: "  const updated = await Promise.all(",
        replace: "  const taken = await readHeldByRecords(ctx, ledgers);\n  const updated = await Promise.all(",
      },
      {
        file: "pools/capacity/write-listing.ts",
        find: "would ever be added.\n    const taken = await readHeldByRecords(ctx, ledgers);",
        replace: "",
      },
    ],
  },
  {
    name: "all records read at once for a machine that came",
    caughtBy: {
      file: "pools/capacity/new-machines.test.ts",
      title: "reads the records for a new machine a few hundred at a time",
    },
    edits: [
      {
        file: "pools/ledger/allocations-from-records.ts",
        find: "READ_AT_ONCE = 300;",
        replace: "READ_AT_ONCE = 300_000;",
      },
    ],
  },
  {
    name: "what was held when the records were read added although it has moved since",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "a run that moved to its machine while another one came, and can be read, is not held twice",
    },
    edits: [{ file: "pools/ledger/allocations-from-records.ts", find: " && !named.has(grant)", replace: "" }],
  },
  {
    name: "a machine that cannot be read taken for one still to be made",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "does not take a machine with an unreadable ledger item for one that can still be created",
    },
    edits: [
      {
        file: "pools/plan/summary.ts",
        find: "presentNodes(ledger).length - unreadableNodes(ledger)",
        replace: "presentNodes(ledger).length",
      },
    ],
  },
  {
    name: "the first in line starved of machines still to be made",
    caughtBy: {
      file: "pools/plan/plan.test.ts",
      title: "no job takes them from the first job in the queue, which needs more than are left",
    },
    edits: [
      { file: "pools/plan/admit.ts", find: "unpinnedLeft - keptUnpinned >= need", replace: "unpinnedLeft >= need" },
    ],
  },
  {
    name: "machines still to be made kept for who waits for others",
    caughtBy: {
      file: "pools/plan/plan.test.ts",
      title: "others take them while the first job in the queue waits for occupied machines",
    },
    edits: [
      {
        file: "pools/plan/admit.ts",
        find: "!input.closed && free.find(need, mayPass(endsAt))",
        replace: "!input.closed",
      },
    ],
  },
  {
    name: "who waits is cancelled while a pool gives nothing since it cannot be read",
    caughtBy: {
      file: "environments/steps/start/queue-limit.test.ts",
      title: "an unreadable ledger of machines still to be made cancels no environment",
    },
    edits: [{ file: "environments/steps/overdue.ts", find: " || (await isHalted(ctx, pool))", replace: "" }],
  },
  {
    name: "nobody planned for where the index proposes too many who do not wait",
    caughtBy: {
      file: "pools/plan/unverified.test.ts",
      title:
        "the first job in the queue keeps its place, and others start, although the index proposes hundreds of ended jobs",
    },
    edits: [
      { file: "pools/admission/decide.ts", find: "waiting.filter(({ key }) => verified.has(key))", replace: "[]" },
    ],
  },
  {
    name: "who cannot be read taken for one that waits for a machine still to be made",
    caughtBy: {
      file: "pools/capacity/unpinned.test.ts",
      title: "a run that moved to its machine while another one came, and cannot be read, is not held twice",
    },
    edits: [
      {
        file: "pools/ledger/allocations-from-records.ts",
        find: "  if (unreadable.size > 0) return undefined;\n",
        replace: "",
      },
      {
        file: "pools/ledger/allocations-from-records.ts",
        find: "({ grant }) => holding.has(grant) && !named.has(grant)",
        replace: "({ key, grant }) => unreadable.has(key) || (holding.has(grant) && !named.has(grant))",
      },
    ],
  },
  {
    name: "a machine chosen whether it has had the image or not",
    caughtBy: {
      file: "pools/ledger/machine-images.test.ts",
      title: "of equally free machines, a job gets one that has had its image",
    },
    edits: [
      {
        file: "pools/plan/free-units.ts",
        find: "(!prefers || prefers(index) ? found : others).push(index);",
        replace: "found.push(index);",
      },
    ],
  },
];
