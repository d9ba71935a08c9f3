import { join } from "node:path";
import type { TestRunResult, Vitest } from "vitest/node";

/** Runs single tests of a copy in one Vitest, so unchanged files stay transformed. */
export interface TestRunner {
  /**
   * Runs one test after these sources changed, and reports whether it failed. Throws if it does not exist or did not
   * run.
   */
  fails(test: CoreTest, changed: readonly string[]): Promise<boolean>;
  close(): Promise<void>;
}

export interface CoreTest {
  /** Relative to packages/core. */
  readonly file: string;
  readonly title: string;
  /** Project of vitest.config.ts. The default is `memory`. */
  readonly project?: "cli" | "console" | "nodes" | "stack";
}

/** Creates a runner for the copy in `directory`. The first test starts it. */
export function newTestRunner(directory: string): TestRunner {
  let started: Promise<Vitest> | undefined;
  /** Sources change again when the mistake is removed, which is after its test. */
  let changedBefore: readonly string[] = [];

  return {
    async fails({ file, title, project = "memory" }, changed) {
      started ??= startVitest(directory);
      const vitest = await started;
      for (const source of [...changedBefore, ...changed]) vitest.invalidateFile(source);
      changedBefore = changed;
      const module = join(directory, "packages/core", file);
      const testNamePattern = new RegExp(`(^| )${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
      const wanted = vitest.getProjectByName(project).createSpecification(module, { testNamePattern });
      const result = await vitest.runTestSpecifications([wanted]);
      const states = listStates(result, module, title);
      if (states.includes("failed")) return true;
      if (states.includes("passed")) return false;
      throw new Error(`'${title}' of ${file} did not run: ${getErrors(result, module)}`);
    },
    async close() {
      await (await started)?.close();
    },
  };
}

/** Imports Vitest on demand, because that takes a second. */
async function startVitest(directory: string): Promise<Vitest> {
  const { createVitest } = await import("vitest/node");
  // A Vitest would pack the command line once, with its first mistake. So tests run the source.
  process.env.BERTH_PACKED_CLI = "";
  const project = {
    root: directory,
    config: join(directory, "vitest.config.ts"),
    project: ["memory", "cli", "console", "nodes", "stack"],
  };
  const vitest = await createVitest("test", { ...project, watch: false, isolate: true, retry: 0, reporters: [{}] });
  await vitest.standalone();
  return vitest;
}

function listStates({ testModules }: TestRunResult, module: string, title: string): string[] {
  return testModules
    .filter(({ moduleId }) => moduleId === module)
    .flatMap(({ children }) => [...children.allTests()])
    .filter(({ name }) => name.includes(title))
    .map((test) => test.result().state);
}

function getErrors({ testModules, unhandledErrors }: TestRunResult, module: string): string {
  const errors = testModules.filter(({ moduleId }) => moduleId === module).flatMap((testModule) => testModule.errors());
  return [...errors, ...unhandledErrors].map((error) => (error as { message?: string }).message).join("; ");
}
