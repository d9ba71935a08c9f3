import type { Reporter, TestCase } from "vitest/node";

/** Prints why a test was skipped, which vitest's own reporters do not where many files are run. */
export default class SkipReporter implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const result = test.result();
    if (result.state !== "skipped" || result.note === undefined) return;
    process.stdout.write(`Skipped: ${test.fullName}: ${result.note}\n`);
  }
}
