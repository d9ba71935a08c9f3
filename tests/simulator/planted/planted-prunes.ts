import type { PlantedBug } from "./plant.ts";

const file = "../kubernetes/setup/prune.ts";
const caughtBy = (title: string) => ({ file: "../kubernetes/setup/prune.test.ts", title });

/** Mistakes by which `npm run cluster:apply` would delete foreign objects. */
export const pruneBugs: readonly PlantedBug[] = [
  {
    name: "an object pruned that Berth did not apply",
    edits: [{ file, find: "if (!isApplied(live))", replace: "if (!isApplied(live) && live.kind === '')" }],
    caughtBy: caughtBy("an object that is on the list but that another client applied stays"),
  },
  {
    name: "an object pruned that replaced the listed one",
    edits: [{ file, find: "if (live.metadata.uid !== former.metadata.uid)", replace: "if (live.metadata.uid === '')" }],
    caughtBy: caughtBy("an object that replaced the listed one stays, although Berth applied it"),
  },
  {
    name: "an object pruned by its name alone",
    edits: [
      {
        file: "../kubernetes/setup/apply.ts",
        find: "{ uid: change.manifest.metadata.uid }",
        replace: "{ uid: undefined }",
      },
    ],
    caughtBy: caughtBy("an object of a former version is deleted, unless another one takes its place before that"),
  },
  {
    name: "an object of another deployment pruned",
    edits: [{ file, find: "if (owner !== undefined && owner !== deployment)", replace: "if (owner === '')" }],
    caughtBy: caughtBy("an object of another deployment on the cluster stays"),
  },
  {
    name: "an object of a job pruned",
    edits: [{ file, find: "if (getLabels(live)[label.uid] !== undefined)", replace: "if (live.kind === '')" }],
    caughtBy: caughtBy("a listed object of a job stays, although Berth's functions applied it"),
  },
  {
    name: "a volume pruned",
    edits: [{ file, find: "if (kept !== undefined)", replace: "if (kept === '')" }],
    caughtBy: caughtBy("a listed PersistentVolume stays, although Berth applied it"),
  },
];
