import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export type GatewayLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** Log of a gateway, as it is written. */
export interface GatewayLog {
  /** Lines so far. */
  readonly lines: readonly GatewayLine[];
  /** Waits for the first line with this event, or for number `count`. Throws if the log ends before. */
  logged(event: string, count?: number): Promise<GatewayLine>;
}

export function followGatewayLog(output: Readable): GatewayLog {
  const lines: GatewayLine[] = [];
  const waiting = new Set<() => void>();
  const reader = createInterface(output);
  reader.on("line", (line) => {
    lines.push(JSON.parse(line) as GatewayLine);
    for (const check of waiting) check();
  });
  const ended = new Promise<void>((resolve) => reader.once("close", resolve));
  const logged = (event: string, count = 1) =>
    new Promise<GatewayLine>((resolve, reject) => {
      const check = () => {
        const line = lines.filter((each) => each.event === event)[count - 1];
        if (!line) return;
        waiting.delete(check);
        resolve(line);
      };
      waiting.add(check);
      check();
      void ended.then(() =>
        reject(new Error(`The log of the gateway ended before "${event}": ${JSON.stringify(lines)}`)),
      );
    });
  return { lines, logged };
}
