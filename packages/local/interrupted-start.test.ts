import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Environment } from "#core/environments/record/record.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import type { WorkerContext } from "#core/reconciler/step.ts";
import { keyText } from "#core/store/keys.ts";
import { processCompute } from "#process/compute.ts";
import { eventually, type Fixture, openFixture } from "#process/fixture.ts";
import type { ProcessComputeOptions } from "#process/runs/host.ts";
import { listRunNames } from "#process/runs/run-directory.ts";
import { takeAway } from "#tests/faults/take-away.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { adoptRuns } from "./running-environments.ts";

/** The world's clock stands in some year, and the run's own limit is by the machine's. */
const aCentury = 100 * 365 * 24;

let fixture: Fixture;
let impatient: ProcessComputeOptions;
let world: MemoryWorld;

beforeEach(async () => {
  fixture = openFixture({ isolation: "none" });
  // The test pauses the supervisor. A start that waited longer would still wait when the stack is back.
  impatient = { ...fixture.options, startedWithinMs: 1_500 };
  world = await memoryWorld();
});

afterEach(() => fixture.close());

it("completes a job whose stack was killed while two reconciles were starting its run", async () => {
  const message = await jobThatStartsNow();
  await fixture.compute.apply(fixture.runOf());
  const supervisor = fixture.supervisorPid();
  process.kill(supervisor, "SIGSTOP");

  void reconcile(killedBeforeItWrites(world.ctx), message);
  await eventually(
    () => listRunNames(join(fixture.home, "runs")).length,
    (count) => count === 2,
  );
  await reconcile(world.ctx, message);
  const next = processCompute(impatient);
  await adoptRuns(world.ctx, next);
  process.kill(supervisor, "SIGCONT");
  Object.assign(world.compute, next);

  const ended = await eventually(passASecond, ({ end }) => end.outcome !== null);
  expect(ended.end.outcome).toMatchObject({ phase: "completed", reason: "command exited with code 0" });
});

/** The reconcile that applies the run: the cluster was away during an earlier one. */
async function jobThatStartsNow(): Promise<ReconcileRequest> {
  const job = newEnvironment("job", { command: "exit 0", hours: aCentury });
  const { pk, sk } = await createEnvironment(world.as("alice"), job);
  takeAway(world.compute, "apply");
  await world.deliver();
  world.clock.advance(2_000);
  Object.assign(world.compute, processCompute(impatient));
  return { look: keyText({ pk, sk }) };
}

async function passASecond(): Promise<Environment> {
  await world.advance(1_000);
  return world.read("alice", "job");
}

/** A worker whose process ends within the step that it has begun. */
function killedBeforeItWrites(ctx: WorkerContext): WorkerContext {
  return { ...ctx, table: { ...ctx.table, put: () => new Promise(() => undefined) } };
}
