import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

if (Number(process.versions.node.split(".")[0]) < 22) {
  throw new Error(`Start it as \`npx vitest …\`: that takes the Node of this project, and this is ${process.version}.`);
}

const schedules = ["tests/simulator/schedules-*.test.ts"];
/**
 * Tests of the sandbox and of the running stack, and two files that compute as long. They take minutes, so `npm test`
 * leaves them out and runs the first hours of a stack.
 */
const stack = [
  "packages/process/**/*.test.ts",
  "tests/e2e/!(life|quick-start|sts).test.ts",
  "packages/local/{access,disks,interrupted-start,home/earlier-home,identity/local-users,logs,page-access,sandbox/reach-conformance,session-run,server/sockets,stack,web-terminal}.test.ts",
  "packages/gateway/ssh/{ssh,ssh-bounds,ssh-openssh,ssh-openssh-*}.test.ts",
  "scripts/{dev,images/gateway-image,start,start-bundle,start-terminal}.test.ts",
  "packages/kubernetes/idle-requests.test.ts",
  "tests/simulator/tools.test.ts",
];
/** They start processes, or change what their own process holds: each file has one to itself. */
const processes = [
  "packages/{gateway,gateway-server,local,relay}/**/*.test.ts",
  "tests/e2e/**/*.test.ts",
  "packages/lambda/{lambda,socket}.test.ts",
  "packages/aws/socket-gateway.test.ts",
  "packages/http/request/comments.test.ts",
  "tests/simulator/{population-figures,simulator}.test.ts",
  "functions/consumers/plan-stack.test.ts",
  "scripts/**/*.test.ts",
  "stacks/plan/plan.test.ts",
  // Their machine types are constants of a process.
  "packages/core/machine-types.test.ts",
  "packages/kubernetes/{nodes,setup}/added-types.test.ts",
  "packages/aws/eks/eks-machine-groups.test.ts",
  "packages/aws/cluster-check/added-types.test.ts",
  "functions/gpu-dev/gpu/added-types.test.ts",
  "stacks/cluster/settings.test.ts",
];

/** The command line and the SDK, as processes and over sockets, against a running stack. */
const cli = ["packages/{cli,sdk}/**/*.test.ts"];

/**
 * They need more than Node: moto and the servers of Maven Central, which play AWS. Or they run every dialect over the
 * adapters of table and queue, which takes minutes where memory takes seconds.
 */
const aws = ["packages/aws/{java,moto*}.test.ts", "functions/**/*-aws.test.ts"];

/** The web console in a headless Chromium, against running stacks. */
const consoleTests = ["tests/console/*.test.ts"];

/** They need a Kubernetes control plane, which `npm run test:cluster` builds: each file starts one of 600 MB. */
const cluster = ["tests/cluster/**/*.test.ts", "packages/kubernetes/cluster/*.test.ts"];

/** They need a kubelet and containerd on this machine as root, which `npm run test:nodes` prepares. */
const nodes = ["tests/nodes/*-nodes.test.ts"];

/** The real components of SST, and what they deploy run as on Lambda, which `npm run test:infra` installs: 400 MB. */
const infra = [
  "stacks/plan/printed-plan.test.ts",
  "tests/synthesis/{synthesis,new-cluster,cluster-variants}.test.ts",
  "tests/lambda/**/*.test.ts",
  "tests/audit/policies.test.ts",
];

/**
 * These wait for real processes, or a control plane, beside others: in CI one that missed a limit is run once more, and
 * said so (tests/fixtures/skip-reporter.ts). What must never happen even once, a loss or an escape, has no second try.
 */
const retry = process.env.CI ? 1 : 0;

/** More workers than processors run, so collecting garbage in parallel only costs processor time: a twentieth. */
const oneThread = ["--single-threaded-gc"];

/** Node imports the sources itself. Vite's modules reach each import through a getter, which costs long tests a fifth. */
const native = { viteModuleRunner: false, nodeLoader: false };

/** A minute and more each, most of it waiting: begun last, they would run on when everything else is over. */
const longest = [
  ...["crash", "crash-disks", "docs-try", "novita", "ssh-openssh-forwards", "compute-conformance", "every-command"],
  ...["run", "guides", "more-commands", "watch", "disk-target", "stack-commands"],
  ...["core", "contract", "stack", "stack-access", "soak", "compute"].map((name) => `${name}-cluster`),
  ...["conformance", "gateway", "volumes", "faults", "tools", "outages"].map((name) => `${name}-nodes`),
];

/** Vitest takes projects in the order of their names, and the files of a fresh checkout by their sizes. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const order = ["schedules", "processes", "cli", "memory", "stack", "console", "aws", "infra", "cluster", "nodes"];
    const isLong = ({ moduleId }: TestSpecification) => longest.some((name) => moduleId.endsWith(`/${name}.test.ts`));
    const place = (file: TestSpecification) => 2 * order.indexOf(file.project.name) + (isLong(file) ? 0 : 1);
    return (await super.sort(files)).toSorted((left, right) => place(left) - place(right));
  }
}

export default defineConfig({
  test: {
    // Two for the schedules, which stand back (they lower their priority), and two for tests that mostly wait.
    maxWorkers: 4,
    execArgv: oneThread,
    reporters: ["default", "./tests/fixtures/skip-reporter.ts"],
    // Tests start hundreds of supervisors and stacks. With a shared compile cache they cost a third.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL("node_modules/.cache/compiled", import.meta.url)) },
    // Long enough for a machine that does twenty other things, where a test that computes for ten seconds takes three
    // minutes: a test waits for events, and a limit only ends one that hangs.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "schedules",
          include: schedules,
          execArgv: [...oneThread, "--min-semi-space-size=32", "--max-semi-space-size=64"],
        },
      },
      { extends: true, test: { name: "processes", include: processes, exclude: stack, retry } },
      {
        extends: true,
        test: {
          name: "memory",
          include: ["{packages,functions,stacks,tests}/**/*.test.ts"],
          exclude: [
            ...schedules,
            ...processes,
            ...stack,
            ...cli,
            ...aws,
            ...cluster,
            ...nodes,
            ...infra,
            ...consoleTests,
          ],
          isolate: false,
          experimental: native,
          // Its workers live long and make much garbage that dies young.
          execArgv: [...oneThread, "--min-semi-space-size=64", "--max-semi-space-size=64"],
        },
      },
      { extends: true, test: { name: "stack", include: stack, retry } },
      { extends: true, test: { name: "cli", include: cli, retry, globalSetup: "packages/cli/packed-fixture.ts" } },
      { extends: true, test: { name: "console", include: consoleTests, retry, isolate: false, experimental: native } },
      { extends: true, test: { name: "aws", include: aws } },
      // A synthesis leaves its zips where the next one does.
      { extends: true, test: { name: "infra", include: infra, maxWorkers: 1 } },
      { extends: true, test: { name: "cluster", include: cluster, maxWorkers: 4, retry } },
      // Each file starts a control plane and its nodes, and waits for most of its time.
      { extends: true, test: { name: "nodes", include: nodes, maxWorkers: 4, retry } },
    ],
  },
});
