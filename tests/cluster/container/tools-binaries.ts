import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Sources of the programs in images/tools. */
export const toolsSources = fileURLToPath(new URL("../../../images/tools", import.meta.url));

const run = promisify(execFile);

/** Returns the directory of the built programs, which depends on their sources and is outside the repository. */
export async function toolsPath(env: NodeJS.ProcessEnv): Promise<string> {
  const cache = env.BERTH_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "berth");
  const hash = createHash("sha256");
  const files = (await readdir(toolsSources, { recursive: true })).filter((name) => /\.go$|go\.(mod|sum)$/.test(name));
  for (const file of files.toSorted()) hash.update(file).update(await readFile(join(toolsSources, file)));
  return join(cache, "tools", hash.digest("hex").slice(0, 12));
}

/** Builds the programs like the Dockerfile of images/tools, unless they exist. */
export async function buildTools(env: NodeJS.ProcessEnv): Promise<string> {
  const path = await toolsPath(env);
  if (await isThere(path)) return path;
  await mkdir(join(path, ".."), { recursive: true });
  const draft = await mkdtemp(`${path}.`);
  try {
    const flags = ["build", "-trimpath", "-ldflags", "-s -w", "-o", `${draft}/`, "./..."];
    await run("go", flags, { cwd: toolsSources, env: { ...env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" } });
    // After two concurrent builds, the second finds the directory in place.
    await rename(draft, path).catch(async (error: unknown) => {
      if (!(await isThere(path))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return path;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
