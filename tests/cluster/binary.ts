import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Version of Kubernetes, as in tools/cluster/go.mod. */
export const KUBERNETES_VERSION = "v1.35.4";

/** Folder below tools/ with a go.mod of its own. */
type GoModule = "cluster" | "csi";

/** Returns the folder of a module. */
export function moduleFolder(module: GoModule): string {
  return fileURLToPath(new URL(`../../tools/${module}`, import.meta.url));
}

/** Returns in one line why nothing can be built here; undefined if it can. */
export async function whyNotBuilt(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    // The go.mod of that folder names the version of Go, which an older Go downloads.
    await promisify(execFile)("go", ["version"], { cwd: moduleFolder("cluster"), env });
    return undefined;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return missing ? "Go is not on the PATH (https://go.dev/dl)" : `Go is not usable: ${(error as Error).message}`;
  }
}

/** Returns the folder for builds and downloads of tests: `BERTH_CACHE`, else one in the user's cache. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return env.BERTH_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "berth");
}

/** Returns the path of the control plane's binary, which depends on its sources. */
export function binaryPath(env: NodeJS.ProcessEnv): Promise<string> {
  return programPath(env, "cluster", ["main.go"]);
}

/** Builds the binary unless it exists. The first build takes about 12 minutes of one processor. */
export async function buildBinary(env: NodeJS.ProcessEnv): Promise<string> {
  return buildPackage(env, await binaryPath(env), ".");
}

/** Returns the path of a program in the cache, which depends on these sources and on go.mod and go.sum. */
export async function programPath(
  env: NodeJS.ProcessEnv,
  name: string,
  files: readonly string[],
  module: GoModule = "cluster",
): Promise<string> {
  const hash = createHash("sha256");
  for (const file of [...files, "go.mod", "go.sum"]) hash.update(await readFile(join(moduleFolder(module), file)));
  return join(cacheFolder(env), module, `${KUBERNETES_VERSION}-${hash.digest("hex").slice(0, 12)}`, name);
}

/** Builds a Go package of the module, or of one that it requires, unless the file exists. */
export async function buildPackage(
  env: NodeJS.ProcessEnv,
  path: string,
  goPackage: string,
  module: GoModule = "cluster",
): Promise<string> {
  if (await isThere(path)) return path;
  const building = `${path}.${process.pid}`;
  await mkdir(join(path, ".."), { recursive: true });
  try {
    await run(
      "go",
      ["build", "-trimpath", "-ldflags", linkerFlags(), "-o", building, goPackage],
      { ...env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" },
      moduleFolder(module),
    );
    // Two concurrent builds end with the same file.
    await rename(building, path);
  } finally {
    await rm(building, { force: true });
  }
  return path;
}

/** Returns the flags that set the server's version. Without them it is v0.0.0, and clients depend on it. */
function linkerFlags(): string {
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(KUBERNETES_VERSION) ?? [];
  const version = {
    gitVersion: KUBERNETES_VERSION,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: "clean",
    gitCommit: "none",
    buildDate: "2026-01-01T00:00:00Z",
  };
  const set = Object.entries(version).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  return ["-s", "-w", ...set].join(" ");
}

export async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Runs a command at low priority. */
function run(command: string, args: string[], env: NodeJS.ProcessEnv, cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("nice", ["-n", "10", command, ...args], { cwd, env, stdio: ["ignore", 2, 2] });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (code === 0) return resolve();
      reject(new Error(`${command} ${args[0]} ended with ${code ?? signal}`));
    });
  });
}
