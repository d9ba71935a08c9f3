import { existsSync, readFileSync } from "node:fs";
import { parseEnv } from "node:util";

/** Returns the settings of `.env` and `.env.<stage>`, as SST reads them. */
export function readStageFiles(stage: string): Record<string, string> {
  const files = [".env", `.env.${stage}`].filter((file) => existsSync(file));
  return Object.assign({}, ...files.map((file) => parseEnv(readFileSync(file, "utf8"))));
}
