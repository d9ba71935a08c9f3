// count-tests.mjs <JSON report of vitest> <id of the user who ran it>: prints how many tests passed and failed. Failed
// tests go to stderr with the beginning of their messages. A skipped test is listed and counts as failed. Errors that
// belong to no test fail the step of the run, so <report>.errors (tests/fixtures/skip-reporter.ts) is only printed.
import { existsSync, readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";

const LINES = 12;
const LINE_LENGTH = 400;

const [report, userId] = process.argv.slice(2);

/** Full names of tests that may be skipped, each with the reason. */
const maySkip = new Map([
  [
    "the document's quick start equals the printed one",
    "compares with the published document, which is not part of this project",
  ],
  [
    "the memory volumes volumes are restored from a snapshot, even after its original volume is gone",
    "the memory fake stores no files; the same test runs on the volumes of the process driver",
  ],
  ...["bubblewrap", "none"].map((isolation) => [
    `Jupyter inside a run, isolation ${isolation} is the real one where the machine has it`,
    "a test machine may lack Jupyter; the other tests use a stand-in with the same arguments",
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
    "the stack answers 503 with the reason once its disk is read-only, keeps running, and has all records after the repair",
    "a container may have no loop devices; the message about such a disk is also tested with a write that SQLite refuses",
  ],
  ...["the table on DynamoDB Local", "the queue on ElasticMQ"].map((name) => [
    `${name} needs Java`,
    "a test machine may lack Java and Maven; the same suites run on moto",
  ]),
  ...[
    "commands of each kind run in a pod by their function URLs, and find the files of the one before",
    "commands are answered like by the local server",
    "a shell is opened, runs commands in a pod one after another, and is closed",
    "a chat message reaches the server in a session's pod, and its answer the client",
  ].map((name) => [name, "a test machine may lack Go, which builds the control plane that has the pods"]),
  [
    "the Python SDK is built into a wheel that is imported with its types",
    "python3 may lack the packages that build wheels; its own tests run everywhere",
  ],
]);

/** Tests that only root may skip: a plain user's processes are limited everywhere. */
const rootMaySkip = [
  [
    "the limits of environments are shown, and stop endless forks of one environment while others are served",
    "root on a machine without control groups cannot limit processes; the message for that case has its own tests",
  ],
];
/** Tests that only a plain user may skip. */
const plainUserMaySkip = [
  "a user on another machine, by the guide for teams through the tunnel opens Jupyter",
  ...["bubblewrap", "none"].flatMap((isolation) => [
    `the work in a run, isolation ${isolation} includes a kernel of the real Jupyter while a cell runs, even after the browser is closed`,
    `the work in a run, isolation ${isolation} includes a terminal of the real Jupyter while a program runs in it`,
    `Jupyter inside a run, isolation ${isolation} has the login variables in a kernel and a terminal of the real Jupyter`,
  ]),
].map((name) => [name, "Python and its packages may be readable only by root, who runs these tests"]);
for (const [name, reason] of userId === "0" ? rootMaySkip : plainUserMaySkip) maySkip.set(name, reason);

if (existsSync(`${report}.errors`)) console.error(`Outside of tests:\n${readFileSync(`${report}.errors`, "utf8")}`);
if (!existsSync(report)) {
  console.error("No report: the tests were stopped before they completed");
  process.exit(1);
}
const { testResults } = JSON.parse(readFileSync(report, "utf8"));
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

for (const { fullName, failureMessages } of failed) console.error(`Failed: ${fullName}\n${startOf(failureMessages)}`);
for (const { fullName } of skipped) console.error(`Skipped, which counts as failed: ${fullName}`);
for (const { name } of broken) console.error(`Could not be loaded: ${name}`);
console.log(`${passed.length} ${failed.length + skipped.length + broken.length}`);

/** Returns the first lines of the failure messages: often only the end of the check's output is kept. */
function startOf(messages = []) {
  const lines = stripVTControlCharacters(messages.join("\n")).split("\n").slice(0, LINES);
  return lines.map((line) => `  ${line.slice(0, LINE_LENGTH)}`).join("\n");
}
