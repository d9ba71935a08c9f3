import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, type JobClient, jobClient } from "#local/e2e/job-client.ts";
import type { StackFixture, StackProcess } from "#local/e2e/stack-fixture.ts";

/** The embedded stack, killed now and then, for tests: whoever calls it is not answered while none runs. */
export interface MortalStack {
  /** Undefined: it was not answered, so that nobody knows whether it was done. Throws what was refused. */
  call<Value>(act: (jobs: JobClient) => Promise<Value>): Promise<Value | undefined>;
  /** Calls until it is answered. */
  answered<Value>(act: (jobs: JobClient) => Promise<Value>): Promise<Value>;
  /** Kills it as a crash would, and starts another one in the same home. */
  kill(): Promise<void>;
  /** What all of them printed. */
  output(): string;
}

const pauseMs = 200;

export async function startMortalStack(
  fixture: StackFixture,
  settings: Readonly<Record<string, string>>,
): Promise<MortalStack> {
  const stacks: StackProcess[] = [];
  const start = async () => {
    const stack = await fixture.start(settings);
    stacks.push(stack);
    return stack;
  };
  let stack = await start();
  const { API_KEY: key = "" } = await stack.env();
  let jobs = jobClient(stack.url, key);

  const call = async <Value>(act: (jobs: JobClient) => Promise<Value>) => {
    try {
      return { value: await act(jobs) };
    } catch (error) {
      if (error instanceof ApiError) throw error;
      return undefined;
    }
  };
  return {
    call: async (act) => (await call(act))?.value,
    async answered(act) {
      for (;;) {
        const answer = await call(act);
        if (answer) return answer.value;
        await sleep(pauseMs);
      }
    },
    async kill() {
      await stack.kill("SIGKILL");
      stack = await startOnceThere(start);
      jobs = jobClient(stack.url, key);
    },
    output: () => stacks.map((each) => each.output()).join(""),
  };
}

/** A stack does not start while its cluster is away, and says so. */
async function startOnceThere(start: () => Promise<StackProcess>): Promise<StackProcess> {
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (!/cluster|API server/i.test(String(error))) throw error;
      await sleep(pauseMs);
    }
  }
}
