import type { Writable } from "node:stream";

/** Log of a container as the kubelet keeps it: lines with their times. */
export interface ContainerLog {
  write(text: string): void;
  /** Sends the part that `query` names, and further lines until the container ends if it follows. */
  send(query: URLSearchParams, to: Writable): void;
  end(): void;
  /** Reports whether the node fails to find the log this time. */
  isMissing(): boolean;
}

interface Line {
  readonly at: string;
  readonly text: string;
}

export function containerLog(missing?: "missing" | "missing once"): ContainerLog {
  let missingTimes = missing === "missing once" ? 1 : Number.POSITIVE_INFINITY;
  const lines: Line[] = [];
  const followers = new Set<{ readonly to: Writable; readonly form: (line: Line) => string }>();
  let rest = "";
  let hasEnded = false;
  const add = (text: string) => {
    const line = { at: new Date().toISOString(), text };
    lines.push(line);
    for (const { to, form } of followers) to.write(form(line));
  };
  return {
    write(text) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) add(`${part}\n`);
    },
    send(query, to) {
      const form = ({ at, text }: Line) => (query.get("timestamps") === "true" ? `${at} ${text}` : text);
      const tail = query.get("tailLines");
      const input = lines.filter(({ at }) => at >= since(query));
      for (const line of tail === null ? input : input.slice(input.length - Number(tail))) to.write(form(line));
      if (query.get("follow") !== "true" || hasEnded) return void to.end();
      const follower = { to, form };
      followers.add(follower);
      to.on("close", () => followers.delete(follower));
    },
    isMissing() {
      if (missing === undefined || missingTimes === 0) return false;
      missingTimes -= 1;
      return true;
    },
    end() {
      if (rest !== "") add(rest);
      rest = "";
      hasEnded = true;
      for (const { to } of followers) to.end();
    },
  };
}

/** Returns the start time, which the API server passes on in one of two parameters. */
function since(query: URLSearchParams): string {
  const seconds = query.get("sinceSeconds");
  if (seconds !== null) return new Date(Date.now() - Number(seconds) * 1000).toISOString();
  const time = query.get("sinceTime");
  return time === null ? "" : new Date(time).toISOString();
}
