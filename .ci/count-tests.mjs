// Prints how many tests passed and failed in a JSON report of vitest; a skipped one is named and counts as failed.
import { readFileSync } from "node:fs";

/** Full names of tests that may be skipped, each with the reason. */
const maySkip = new Map([
  [
    "the document's quick start is transcribed as it is printed",
    "compares with the published document, which is no part of this project",
  ],
  [
    "the memory volumes volumes are restored from a snapshot, also when the volume it was made of is gone",
    "the twin in memory holds no files; the volumes of the process driver are held to it",
  ],
  ...["bubblewrap", "none"].map((isolation) => [
    `Jupyter inside a run, isolation ${isolation} is the real one where the machine has it`,
    "a machine for tests need not have Jupyter; everything else is tested with a stand-in that speaks its arguments",
  ]),
  ...["bubblewrap", "none"].flatMap((isolation) => [
    [
      `a run limited by cgroup-v1, isolation ${isolation} needs control groups of version 1 that can be written to`,
      "a machine has control groups of one version, and a plain user none; both run on plain directories as well",
    ],
    [
      `a run limited by cgroup-v2, isolation ${isolation} needs control groups of version 2 that are handed on`,
      "a machine has control groups of one version, or none; both run on plain directories as well",
    ],
  ]),
  [
    "how environments are limited is said openly, and holds one that starts processes without end while others are served",
    "root on a machine without control groups cannot limit processes; what is said there has tests of its own",
  ],
  [
    "answers 503 with the reason once its disk is read-only, goes on, and has all that it had when that is mended",
    "a container may have no loop devices; what is said of such a disk is also tested where SQLite refuses a write",
  ],
  ...["the table on DynamoDB Local", "the queue on ElasticMQ"].map((name) => [
    `${name} needs Java`,
    "a machine for tests need not have Java and Maven; moto holds the same suites",
  ]),
  [
    "the Python SDK is built into a wheel that is imported with its types",
    "a python3 need not have what builds wheels; its own tests run everywhere",
  ],
]);

const { testResults } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
const passed = tests.filter(({ status }) => status === "passed");
const failed = tests.filter(({ status }) => status === "failed");
const skipped = tests.filter(
  ({ status, fullName }) => !["passed", "failed"].includes(status) && !maySkip.has(fullName),
);
// A file that cannot be loaded fails without a test of its own.
const broken = testResults.filter(
  ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
);

for (const { fullName } of failed) console.error(`Failed: ${fullName}`);
for (const { fullName } of skipped) console.error(`Skipped, which counts as failed: ${fullName}`);
for (const { name } of broken) console.error(`Could not be loaded: ${name}`);
console.log(`${passed.length} ${failed.length + skipped.length + broken.length}`);
