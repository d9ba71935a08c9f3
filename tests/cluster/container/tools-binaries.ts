import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Of the programs that images/tools makes itself. */
export const toolsSources = fileURLToPath(new URL("../../../images/tools", import.meta.url));

const run = promisify(execFile);

/** The directory of the built programs, outside the repository: another one for each state of the sources. */
export async function toolsPath(env: NodeJS.ProcessEnv): Promise<string> {
  const cache = env.BERTH_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "berth");
  const hash = createHash("sha256");
  const files = (await readdir(toolsSources, { recursive: true })).filter((name) => /\.go$|go\.(mod|sum)$/.test(name));
  for (const file of files.toSorted()) hash.update(file).update(await readFile(join(toolsSources, file)));
  return join(cache, "tools", hash.digest("hex").slice(0, 12));
}

/** Builds the programs if they are not there yet, as the Dockerfile of images/tools does. */
export async function buildTools(env: NodeJS.ProcessEnv): Promise<string> {
  const path = await toolsPath(env);
  if (await isThere(path)) return path;
  await mkdir(join(path, ".."), { recursive: true });
  const draft = await mkdtemp(`${path}.`);
  try {
    const flags = ["build", "-trimpath", "-ldflags", "-s -w", "-o", `${draft}/`, "./..."];
    await run("go", flags, { cwd: toolsSources, env: { ...env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" } });
    // Of two that build at once the second has nothing to do any more.
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
