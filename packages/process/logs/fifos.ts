import { execFile } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { randomName } from "../runs/random-name.ts";
import { systemPath } from "../sandbox/environment.ts";

/** FIFOs per call of mkfifo, because each call starts a process. */
const made = 32;

/** Hands out unique FIFOs. Node's own pipes are sockets, which a command cannot open again as /dev/stdout. */
export function fifosIn(folder: string): () => Promise<string> {
  const ready: string[] = [];
  let making: Promise<void> | undefined;

  const make = async (): Promise<void> => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const paths = Array.from({ length: made }, () => join(folder, randomName()));
    await promisify(execFile)("mkfifo", ["-m", "600", ...paths], { env: { PATH: systemPath } });
    ready.push(...paths);
  };
  const ensure = (): Promise<void> => {
    making ??= make().finally(() => {
      making = undefined;
    });
    return making;
  };
  rmSync(folder, { recursive: true, force: true });
  return async () => {
    while (ready.length === 0) await ensure();
    const path = ready.shift() ?? "";
    // A caller that finds none left sees the failure.
    if (ready.length < made / 2) void ensure().catch(() => undefined);
    return path;
  };
}
