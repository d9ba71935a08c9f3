import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cacheFolder } from "#tests/cluster/binary.ts";
import { buildOnce } from "./build-once.ts";
import { downloadSources, formatSourceFile, readSources, type Source } from "./sources.ts";

export const toolsSources = fileURLToPath(new URL("../../images/tools", import.meta.url));

const run = promisify(execFile);

/** Returns the folder of the Go programs in the cache: another one for each state of sources and compiler. */
export async function toolsPath(env: NodeJS.ProcessEnv): Promise<string> {
  const files = (await readdir(toolsSources, { recursive: true })).filter((name) => /\.go$|go\.(mod|sum)$/.test(name));
  const texts = await Promise.all(files.toSorted().map((file) => readFile(join(toolsSources, file), "utf8")));
  const compiler = await run("go", ["version"], { cwd: toolsSources, env });
  return join(cacheFolder(env), "tools", hashOf([...files.toSorted(), ...texts, goFlags, compiler.stdout]));
}

/** Flags without the version of this checkout, which would differ with each commit. */
const goFlags = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w"] as const;

/** Builds the Go programs once, as the Dockerfile does, and returns their folder. */
export async function buildTools(env: NodeJS.ProcessEnv): Promise<string> {
  return buildOnce(await toolsPath(env), async (draft) => {
    const words = ["go", "build", ...goFlags, "-o", `${draft}/`, "./..."];
    await runNice(words, { ...env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" });
  });
}

/** Returns the pinned sources of dropbear, busybox and their C library. */
export async function readToolsSources(): Promise<Source[]> {
  return readSources(await readFile(join(toolsSources, "Dockerfile"), "utf8"));
}

/** Builds dropbear and busybox once, as the Dockerfile does, and returns their folder. */
export async function buildStaticPrograms(env: NodeJS.ProcessEnv): Promise<string> {
  const sources = await readToolsSources();
  const script = join(toolsSources, "programs.sh");
  const compiler = await run("gcc", ["--version"], { env });
  const inputs = hashOf([sources, await readFile(script, "utf8"), compiler.stdout]);
  return buildOnce(join(cacheFolder(env), "tools", `static-${inputs}`), async (draft) => {
    const downloads = await downloadSources(sources, env);
    const named = await mkdtemp(join(tmpdir(), "berth-sources-"));
    try {
      for (const source of sources) await symlink(join(downloads, formatSourceFile(source)), join(named, source.file));
      await runNice(["sh", script, named, draft], env);
    } finally {
      await rm(named, { recursive: true, force: true });
    }
  });
}

/** Returns a short name for a state of inputs. */
export function hashOf(inputs: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 12);
}

/** Runs a program in images/tools, behind the other work of this machine. An error has the last lines of its output. */
async function runNice(words: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const options = { cwd: toolsSources, env, maxBuffer: 2 ** 26 };
  await run("nice", ["-n", "10", ...words], options).catch((error: Error & { stderr?: string }) => {
    const output = error.stderr?.trim().split("\n").slice(-20).join("\n");
    throw new Error(`${words[0]} failed in images/tools:\n${output || error.message}`);
  });
}
