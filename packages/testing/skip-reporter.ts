import type { Reporter, TestCase } from "vitest/node";
import { leftOut } from "./left-out.ts";

/** The scripts of npm that run whole suites (npm-scripts, "environment"); a run of single files leaves out what it likes. */
const wholeSuites = ["test", "test:stack"];

/** Prints why something was not tested, and what passed on its second try alone: vitest's own reporters do not for many files. */
export default class SkipReporter implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    const { retryCount = 0 } = test.diagnostic() ?? {};
    if (retryCount > 0) process.stdout.write(`Tried again, and ${result.state}: ${test.fullName}\n`);
    if (result.state !== "skipped" || result.note === undefined) return;
    process.stdout.write(`Skipped: ${test.fullName}: ${result.note}\n`);
  }

  onTestRunEnd(): void {
    if (!wholeSuites.includes(process.env.npm_lifecycle_event ?? "")) return;
    process.stdout.write(`Left out: ${leftOut(process.getuid?.())}\n`);
  }
}
