import { randomUUID } from "node:crypto";
import { type ExecutionEnvironment, type LambdaFunction, startEnvironment } from "./environment.ts";
import type { Answered } from "./runtime-api.ts";

export interface RunningFunction {
  /** Starts a process for the next event. Throws if its init fails. */
  prepare(): Promise<void>;
  /** Passes the event to a waiting process or a new one. Throws if the init of a new one fails. */
  invoke(event: unknown): Promise<Answered>;
  stop(): Promise<void>;
}

/** Starts processes on demand, one for each concurrent event. */
export function runFunction(made: LambdaFunction): RunningFunction {
  const warm: ExecutionEnvironment[] = [];
  const all = new Set<ExecutionEnvironment>();
  const start = async () => {
    const started = await startEnvironment(made);
    all.add(started);
    return started;
  };
  return {
    async prepare() {
      warm.push(await start());
    },
    async invoke(event) {
      const environment = warm.pop() ?? (await start());
      const deadlineAt = Date.now() + made.timeoutSeconds * 1000;
      const answered = await environment.invoke({ id: randomUUID(), functionArn: made.arn, event, deadlineAt });
      if (environment.isOver()) all.delete(environment);
      else warm.push(environment);
      return answered;
    },
    async stop() {
      await Promise.all([...all].map((environment) => environment.end()));
      all.clear();
      warm.length = 0;
    },
  };
}
