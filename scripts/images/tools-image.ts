import { access, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "#tests/cluster/binary.ts";
import { isOnPath } from "#tests/nodes/requirements.ts";
import { buildOnce } from "./build-once.ts";
import { rootOwned, writeImage } from "./oci-archive.ts";
import { formatSbom, readDigest } from "./sbom.ts";
import { buildStaticPrograms, buildTools, hashOf, readToolsSources, toolsSources } from "./tools-programs.ts";

/** Name by which a node that imports the archive knows the image. */
export const toolsImage = "localhost/berth-tools:1";

export interface BuiltImage {
  /** OCI archive. */
  readonly archive: string;
  /** SPDX document. */
  readonly sbom: string;
  /** Digest of the manifest. */
  readonly digest: string;
}

/** Programs that the build runs, by their Debian package. */
const programs = { go: "golang", gcc: "gcc", make: "make", tar: "tar", bzip2: "bzip2" } as const satisfies Record<
  string,
  string
>;

/** Headers that a compiler does not have by itself, by their Debian package. */
const headers = { "/usr/include/linux/version.h": "linux-libc-dev", "/usr/include/stdio.h": "libc6-dev" } as const;

/** Returns what this machine lacks for building the image, as one sentence; undefined if it lacks nothing. */
export async function findMissingForTools(
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): Promise<string | undefined> {
  const advice = "Or build it with a container engine: docker build images/tools";
  if (platform !== "linux") return `images/tools is built on Linux, and this is ${platform}. ${advice}`;
  const names = Object.keys(programs) as (keyof typeof programs)[];
  const found = await Promise.all(names.map((name) => isOnPath(env, name)));
  const absent = names.filter((_, at) => !found[at]);
  const files = Object.keys(headers) as (keyof typeof headers)[];
  const unread = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => [],
        () => [file],
      ),
    ),
  );
  const missing = [...absent, ...unread.flat()];
  if (missing.length === 0) return undefined;
  const packages = [...absent.map((name) => programs[name]), ...unread.flat().map((file) => headers[file])];
  const install = `on Debian, \`apt-get install ${[...new Set(packages)].join(" ")}\``;
  return `images/tools cannot be built without ${missing.join(", ")}: ${install}. ${advice}`;
}

/** Builds the image unless it is in the cache. Equal sources and compilers give equal files. */
export async function buildToolsImage(env: NodeJS.ProcessEnv): Promise<BuiltImage> {
  const [goPrograms, staticPrograms] = [await buildTools(env), await buildStaticPrograms(env)];
  const texts = await Promise.all([...packers, sshScript].map((file) => readFile(file, "utf8")));
  const inputs = hashOf([basename(goPrograms), basename(staticPrograms), ...texts]);
  const folder = await buildOnce(join(cacheFolder(env), "images", `tools-${inputs}`), async (draft) => {
    const digest = await writeArchive(join(draft, archiveName), [goPrograms, staticPrograms]);
    const binaries = (await readdir(goPrograms)).map((name) => join(goPrograms, name));
    const contents = { name: "berth-tools", digest, sources: await readToolsSources(), binaries };
    await writeFile(join(draft, sbomName), await formatSbom(contents, env));
  });
  const sbom = join(folder, sbomName);
  return { archive: join(folder, archiveName), sbom, digest: await readDigest(sbom) };
}

const [archiveName, sbomName] = ["berth-tools.tar", "berth-tools.spdx.json"];
const sshScript = join(toolsSources, "ssh.sh");

/** Files that decide how programs become an image. */
const packers = ["tools-image.ts", "oci-archive.ts", "sbom.ts"].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
);

async function writeArchive(path: string, programs: readonly string[]): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "berth-tools-"));
  const tools = join(root, "tools");
  try {
    await mkdir(tools);
    for (const folder of programs) await cp(folder, tools, { recursive: true });
    await copyFile(sshScript, join(tools, basename(sshScript)));
    return await writeImage(path, {
      name: toolsImage,
      root,
      config: { Entrypoint: ["/tools/supervisor"], User: "65534:65534" },
      tar: rootOwned,
      isCompressed: true,
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
