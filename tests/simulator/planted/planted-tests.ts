import { join } from "node:path";
import type { TestRunResult, Vitest } from "vitest/node";

/** Runs single tests of a copy of the core, one after the other, in one Vitest: what did not change stays transformed. */
export interface TestRunner {
  /**
   * Runs exactly that test after these sources changed, and says whether it failed. Throws when it is not there or did
   * not run.
   */
  fails(test: CoreTest, changed: readonly string[]): Promise<boolean>;
  close(): Promise<void>;
}

export interface CoreTest {
  /** Relative to packages/core. */
  readonly file: string;
  readonly title: string;
  /** The project of vitest.config.ts that runs the file. `memory` by default. */
  readonly project?: "cli";
}

/** A runner for the copy at `directory`, started with its first test. */
export function newTestRunner(directory: string): TestRunner {
  let started: Promise<Vitest> | undefined;
  /** They change once more when the mistake is taken out, which is after its test. */
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

/** Only this part of the tool needs Vitest, which takes a second to load. */
async function startVitest(directory: string): Promise<Vitest> {
  const { createVitest } = await import("vitest/node");
  const project = { root: directory, config: join(directory, "vitest.config.ts"), project: ["memory", "cli"] };
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
