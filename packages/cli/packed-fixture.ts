import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import config from "../../vitest.config.ts";
import { packCli } from "./build.ts";

const root = join(import.meta.dirname, "../..");
const kept = join(root, "node_modules/.cache/packed-cli");
const dayMs = 24 * 60 * 60_000;

/**
 * Packs the command line once for all files of a run. The same source keeps its path, and so its compiled code. Does
 * nothing if BERTH_PACKED_CLI is set, which is empty where tests must run the source.
 */
export async function setup(): Promise<void> {
  if (process.env.BERTH_PACKED_CLI !== undefined) return;
  mkdirSync(kept, { recursive: true });
  const draft = mkdtempSync(join(kept, "draft-"));
  await packCli(join(draft, "dist"));
  cpSync(join(import.meta.dirname, "berth.mjs"), join(draft, "berth.mjs"));
  const place = join(kept, hashFiles(draft));
  if (existsSync(place)) rmSync(draft, { recursive: true });
  else renameSync(draft, place);
  process.env.BERTH_PACKED_CLI = join(place, "berth.mjs");
  removeOld(place);
  compileStack();
}

/**
 * Bundles the stack and fills the compile cache. Otherwise the first tests of a fresh checkout, which start together,
 * each do that.
 */
function compileStack(): void {
  const env = { ...process.env, ...config.test?.env };
  execFileSync(process.execPath, [join(root, "scripts/start.mjs"), "--compile-only"], { env });
}

function hashFiles(directory: string): string {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).toSorted();
  const files = names.map((name) => join(directory, name)).filter((path) => statSync(path).isFile());
  const hash = createHash("sha256");
  for (const path of files) hash.update(path.slice(directory.length)).update("\0").update(readFileSync(path));
  return hash.digest("hex").slice(0, 16);
}

/** Another run may still use a package of another source. */
function removeOld(current: string): void {
  for (const path of readdirSync(kept).map((name) => join(kept, name))) {
    const { mtimeMs = Date.now() } = statSync(path, { throwIfNoEntry: false }) ?? {};
    if (path !== current && Date.now() - mtimeMs > dayMs) rmSync(path, { recursive: true, force: true });
  }
}
