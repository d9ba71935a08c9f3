import { spawn } from "node:child_process";
import { once } from "node:events";

/** Process that cleans up when this one ends, however it ends. */
export interface Sweeper {
  /** Names a process group to kill then. Returns a function that takes this back. */
  guard(processGroup: number): () => void;
  /** Ends the groups and removes the directory now. */
  sweep(): Promise<void>;
}

export function startSweeper(binary: string, home: string): Sweeper {
  const child = spawn(binary, ["sweep", home], { stdio: ["pipe", "ignore", "inherit"] });
  const ended = once(child, "exit");
  // If it cannot start, the waiting caller gets the reason.
  ended.catch(() => undefined);
  child.stdin.on("error", () => undefined);
  const say = (line: string) => void (child.stdin.writable && child.stdin.write(`${line}\n`));
  return {
    guard(processGroup) {
      say(`+${processGroup}`);
      return () => say(`-${processGroup}`);
    },
    async sweep() {
      child.stdin.end();
      await ended;
    },
  };
}
