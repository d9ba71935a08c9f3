import type { PlantedBug } from "./plant.ts";

/** Mistakes in how records are written, repeated and read. */
export const recordBugs: readonly PlantedBug[] = [
  {
    name: "an own repeated write taken for a foreign one",
    caughtBy: {
      file: "store/write-record.test.ts",
      title: "is a success although its repeat conflicts",
    },
    edits: [
      {
        file: "store/write-record.ts",
        find: "return present && listWriters(present).includes(token) ? written : undefined;",
        replace: 'return present && token === "" ? written : undefined;',
      },
    ],
  },
  {
    name: "only the last writer kept",
    edits: [{ file: "store/write-record.ts", find: "KEPT_WRITERS = 8", replace: "KEPT_WRITERS = 1" }],
  },
  {
    name: "an extension added without its token",
    caughtBy: {
      file: "store/write-record.test.ts",
      title: "extends once",
    },
    edits: [
      {
        file: "store/write-record.ts",
        find: "return present && listWriters(present).includes(token) ? written : undefined;",
        replace: "return undefined;",
      },
      {
        file: "environments/verbs/actions.ts",
        find: 'kind: "extend", at: now, noun: ctx.noun, writer: token',
        replace: 'kind: "extend", at: now, noun: ctx.noun, writer: ""',
      },
    ],
  },
  {
    name: "an old worker poisons a newer format",
    edits: [
      {
        file: "store/unreadable.ts",
        find: 'return typeof format === "number" && format > FORMAT;',
        replace: 'return typeof format === "number" && format < 0;',
      },
    ],
  },
  {
    name: "an unreadable record taken for a gone one",
    edits: [
      {
        file: "pools/ledger/reconcile-ledger.ts",
        find: "else if (unreadable.has(old.key)) kept.push(unreadableSince(old, now));",
        replace: "",
      },
    ],
  },
  {
    name: "a grant dropped while its record cannot be read",
    caughtBy: {
      file: "store/unreadable.test.ts",
      title: "a grant with an unreadable record is kept until it is readable",
    },
    edits: [
      {
        file: "pools/ledger/reconcile-ledger.ts",
        find: "if (unreadable.has(grant.key)) return [unreadableSince(grant, now)];",
        replace: "",
      },
    ],
  },
  {
    name: "an Idempotency-Key whose repeat makes a second thing",
    edits: [
      {
        file: "store/idempotency.ts",
        find: "if (!knownCreate || mayBegin(knownCreate, fresh))",
        replace: 'if (!knownCreate || knownCreate.state !== "done")',
      },
    ],
  },
  {
    name: "an Idempotency-Key freed by a refusal while another is at work under it",
    caughtBy: {
      file: "store/idempotency.test.ts",
      title: "a refusal of one of two concurrent requests does not allow a second resource",
    },
    edits: [
      {
        file: "store/idempotency.ts",
        find: "{ ...knownCreate, shared: true }",
        replace: "{ ...knownCreate, shared: undefined }",
      },
    ],
  },
  {
    name: "a refusal forgets that an earlier request of its key may have made something",
    caughtBy: {
      file: "store/idempotency.test.ts",
      title: "a refused repeat of a failure that may have created something does not free the key",
    },
    edits: [{ file: "store/idempotency.ts", find: 'create.state === "open"', replace: 'create.state !== "done"' }],
  },
  {
    name: "a host label refused although it was given back meanwhile",
    caughtBy: {
      file: "environments/record/address-label.test.ts",
      title: "a host label that is released during a claim goes to the claimant",
    },
    edits: [{ file: "environments/record/address-label.ts", find: ' ?? "free");', replace: ");" }],
  },
  {
    name: "a host label whose repeated create does not claim it anew",
    caughtBy: {
      file: "environments/verbs/delete.test.ts",
      title: "stays claimed by a create that is repeated after a minute, until its head exists",
    },
    edits: [
      {
        file: "environments/record/address-label.ts",
        find: 'if (\n      !existingClaim ||\n      !(existingClaim === "free"',
        replace:
          'if (existingClaim && existingClaim !== "free" && existingClaim.uid === uid) return;\n    if (!existingClaim || !(existingClaim === "free"',
      },
    ],
  },
  {
    name: "a limit only an observed run reaches",
    caughtBy: {
      file: "environments/steps/outages.test.ts",
      title: "the end of a job's time passes while the cluster is away",
    },
    edits: [
      {
        file: "environments/steps/step.ts",
        find: "(await stepOverdue(ctx, environment, now)) ?? (await nextStep(ctx, environment, now, message))",
        replace: "(await nextStep(ctx, environment, now, message)) ?? (await stepOverdue(ctx, environment, now))",
      },
    ],
  },
];
