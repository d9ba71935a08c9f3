import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** A server of one AWS API that the real clients talk to, for tests. */
export interface TestServer {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** A server in a separate process, without stored data. */
export function processServer(child: ChildProcess, endpoint: string): TestServer {
  return {
    endpoint,
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}
