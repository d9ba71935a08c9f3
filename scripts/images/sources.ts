import { execFile } from "node:child_process";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "#tests/cluster/binary.ts";
import { findDebianMirror } from "./debian-mirror.ts";
import { hashFile } from "./oci-archive.ts";

/** Source archive of another project, pinned by its checksum. */
export interface Source {
  readonly url: string;
  readonly name: string;
  readonly version: string;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Name of the file that the build reads. */
  readonly file: string;
}

/** Sources in a Dockerfile: its lines `ADD --checksum=sha256:… <url> <file>`. */
export function readSources(dockerfile: string): Source[] {
  const lines = dockerfile.replaceAll(/\\\n\s*/g, "").split("\n");
  return lines
    .filter((line) => /^ADD\s/.test(line))
    .map((line) => {
      const [, sha256, url, file] = /^ADD --checksum=sha256:([0-9a-f]{64}) (https:\S+) (\S+)$/.exec(line) ?? [];
      const [, name, version] = /^(.+)-(\d[\w.]*)\.tar\.(?:gz|bz2|xz)$/.exec(basename(url ?? "")) ?? [];
      if (!sha256 || !url || !file || !name || !version) throw new Error(`No pinned source archive: ${line}`);
      return { url, name, version, sha256, file };
    });
}

/** Downloads sources once, and returns the folder that has them by `Source.file`. */
export async function downloadSources(sources: readonly Source[], env: NodeJS.ProcessEnv): Promise<string> {
  const folder = join(cacheFolder(env), "sources");
  await mkdir(folder, { recursive: true });
  for (const source of sources) {
    const path = join(folder, `${source.sha256}-${basename(source.url)}`);
    if (await hasChecksum(path, source)) continue;
    await download(source, path, env);
  }
  return folder;
}

/** Name of a source in the folder that `downloadSources` returns. */
export function formatSourceFile({ sha256, url }: Source): string {
  return `${sha256}-${basename(url)}`;
}

/** Debian's mirrors have the archives of many projects unchanged, and are near where apt works. */
async function download(source: Source, path: string, env: NodeJS.ProcessEnv): Promise<void> {
  const draft = `${path}.${process.pid}`;
  const problems: string[] = [];
  try {
    for (const from of [downloadFromDebian, downloadFromProject]) {
      const problem = await from(source, draft, env).then(
        async () => ((await hasChecksum(draft, source)) ? undefined : "another checksum"),
        (error: Error) => describeCause(error),
      );
      if (problem === undefined) return await rename(draft, path);
      problems.push(problem);
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw new Error(
    `${basename(source.url)} could not be downloaded from Debian (${problems[0]}) or ${source.url} (${problems[1]}).`,
  );
}

/** The codename of a release alone: updates and security have others. */
const anyRelease = /^[a-z]+$/;

async function downloadFromDebian(source: Source, file: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { name, version, url, sha256 } = source;
  const mirror = await findDebianMirror(anyRelease, env);
  if (mirror === undefined) throw new Error("apt has no mirror here");
  const suffix = /\.tar\.\w+$/.exec(url)?.[0] ?? "";
  const archive = `${mirror}/pool/main/${name.slice(0, 1)}/${name}/${name}_${version}.orig${suffix}`;
  await promisify(execFile)("/usr/lib/apt/apt-helper", ["download-file", archive, file, `SHA256:${sha256}`], { env });
}

const withinMs = 60_000;

async function downloadFromProject({ url }: Source, file: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(withinMs) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  await writeFile(file, Buffer.from(await response.arrayBuffer()));
}

async function hasChecksum(path: string, { sha256 }: Source): Promise<boolean> {
  return (await hashFile(path).catch(() => undefined)) === `sha256:${sha256}`;
}

function describeCause(error: Error): string {
  const { stderr } = error as { stderr?: string };
  const cause = error.cause instanceof Error ? error.cause.message : undefined;
  return stderr?.trim().split("\n").at(-1) ?? cause ?? error.message;
}
