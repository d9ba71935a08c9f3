import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { snapshotPath } from "#tests/cluster/disks/snapshot-api.ts";
import { must } from "#tests/cluster/objects.ts";
import { runProgram } from "#tests/e2e/program.ts";
import { root } from "#tests/e2e/stack-fixture.ts";
import { type ClusterFixture, openClusterFixture } from "../fixtures/cluster-fixture.ts";

/**
 * Runs the documents' own programs and requests as for the stack on this machine. Those of session-manager and Novita
 * need their images' servers, which the fake kubelet lacks.
 */
const files = ["quick-start", "doc-examples", "onmemos", "dev8"];

/** Tests of these files that cannot pass on this cluster, with the reason. */
const leftOut = {
  "the pretend kubelet mounts no volume, so that nothing is at /workspace": [
    "create, show, use and delete a session",
    "create, list, show, use and delete a workspace",
    "run from a shell as printed, and against an existing session",
    "runs the printed example and leaves nothing: Basic Usage",
    "runs the printed example and leaves nothing: Context Manager",
    "behaves against the stack as its page says",
    "answers the printed client in its own program",
    "keeps its directory, and is closed when its workspace is deleted by the other family",
    "have the documented variables, persistent files, and both names of Python",
    "end at their timeout with their processes, and keep their output",
    "may write invalid text, and more than is kept",
    "run concurrently, each with its own result",
  ],
  "its image's own server answers for a workspace, and the pretend kubelet has no images": [
    "runs from a shell as it is printed, with a base URL that holds the key",
    "runs from a shell as it is printed, with a stack that is open to its own machine",
    "get the printed answers, with other times and one address for the page",
  ],
  "it looks for volumes and processes in the home of the stack": [
    "is ERROR when its container dies, and can be started again",
    "finds its files again after a stop, and leaves nothing when it is deleted",
  ],
  "a command is the user of its image there": ["never run as root or in its groups in a sandbox"],
  "Jupyter is not started on clusters": ["turn Jupyter on, or show the reason why not"],
  "it counts the examples that the tests before it ran, those that are left out too": [
    "are all included here, 20 in number",
  ],
} as const;

/** Tests of a stack on its own machine. */
const nodes = {
  "p5.48xlarge": 2,
  "p4d.24xlarge": 1,
  "g5.12xlarge": 1,
  "g4dn.2xlarge": 1,
  "c7i.8xlarge": 1,
  "m7i.8xlarge": 3,
};
/** Files run one after the other, since a stack notices another one's use a minute late. */
const LONGEST_MS = 600_000;

let cluster: ClusterFixture;

beforeAll(async () => {
  const wanted = Object.entries(nodes).flatMap(([instanceType, count]) =>
    Array.from({ length: count }, (_, at) => ({ name: `${instanceType}-${at}`, instanceType })),
  );
  cluster = await openClusterFixture(wanted, undefined, { snapshots: true });
  const metadata = { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } };
  must(await cluster.cluster.admin.patch("/apis/storage.k8s.io/v1/storageclasses/berth-gp3", { metadata }));
  const kind = { apiVersion: "snapshot.storage.k8s.io/v1", kind: "VolumeSnapshotClass" };
  const snapshotClass = {
    ...kind,
    metadata: { name: "snapshots" },
    driver: "ebs.csi.aws.com",
    deletionPolicy: "Delete",
  };
  must(await cluster.cluster.admin.post(`${snapshotPath}/volumesnapshotclasses`, snapshotClass));
});

afterAll(() => cluster.stop());

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

it("keeps what the documents print on a cluster too, except for the listed differences", {
  timeout: LONGEST_MS,
}, async () => {
  const titles = Object.values(leftOut).flat();
  const report = join(cluster.files, "report.json");
  const paths = files.map((file) => `tests/e2e/${file}.test.ts`);
  const others = `^(?!.* (${titles.map(escaped).join("|")})$)`;
  const words = ["run", ...paths, "-t", others, "--maxWorkers=1", "--reporter=json", `--outputFile=${report}`];
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST"));
  const kubeconfig = join(cluster.cluster.controlPlane.home, "berth.kubeconfig");

  const { code, stderr } = await runProgram("vitest", words, {
    cwd: root,
    env: { ...Object.fromEntries(inherited), COMPUTE: "kubernetes", KUBECONFIG: kubeconfig },
    timeout: LONGEST_MS,
  });

  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = results.filter(({ status }) => status === "failed");
  expect(failed.map(({ title, failureMessages }) => `${title}: ${failureMessages.join("\n")}`)).toEqual([]);
  expect([code, stderr]).toEqual([0, ""]);
  const skipped = results.filter(({ status }) => status !== "passed").map(({ title }) => title);
  expect(skipped.sort()).toEqual([...titles].sort());
});

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
