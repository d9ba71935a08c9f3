import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { findDebianMirror } from "../../scripts/images/debian-mirror.ts";
import { buildGatewayImage } from "../../scripts/images/gateway-image.ts";
import { writeImage } from "../../scripts/images/oci-archive.ts";
import { buildToolsImage } from "../../scripts/images/tools-image.ts";
import { cacheFolder, isThere } from "../cluster/binary.ts";

const run = promisify(execFile);

/** Image of the first process of each pod, as containerd's configuration names it. */
export const pauseImage = "localhost/berth-pause:1";
/** Debian with Python, for jobs. */
export const debianImage = "localhost/berth-debian:1";

const release = "bookworm";
const packages = ["python3", "openssh-client", "rsync", "screen"] as const;

/** Folders of an installation whose files no container needs. */
const unneeded = ["dev", "proc", "sys", "run", "tmp", "var/cache", "var/lib/apt/lists", "var/log"] as const;

/** Change it whenever an image of the same packages is packed differently. */
const recipe = "1";

/** Paths of the OCI archives in the cache. */
export function imagePaths(env: NodeJS.ProcessEnv): { readonly debian: string } {
  const name = createHash("sha256")
    .update(JSON.stringify([recipe, release, packages]))
    .digest("hex")
    .slice(0, 12);
  return { debian: join(cacheFolder(env), "images", `debian-${name}.tar`) };
}

/** Builds the images that the tests run, unless they exist: some minutes. */
export async function buildImages(env: NodeJS.ProcessEnv): Promise<void> {
  await buildToolsImage(env);
  await buildGatewayImage(env);
  await buildDebianImage(env);
}

async function buildDebianImage(env: NodeJS.ProcessEnv): Promise<void> {
  const { debian } = imagePaths(env);
  if (await isThere(debian)) return;
  await withDraft(debian, async (draft) => {
    const root = join(draft, "root");
    // Its mounts and processes end with it, even if it is killed.
    const alone = ["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--"];
    const words = ["debootstrap", "--variant=minbase", `--include=${packages.join(",")}`, release, root];
    // Without a mirror debootstrap chooses one.
    const mirror = await findDebianMirror(new RegExp(`^${release}$`), env);
    await run("unshare", [...alone, ...words, ...(mirror === undefined ? [] : [mirror])], { env, maxBuffer: 2 ** 26 });
    await writeImage(join(draft, "image.tar"), {
      name: debianImage,
      root,
      config: {
        Cmd: ["bash"],
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      },
      tar: unneeded.map((folder) => `--exclude=./${folder}/*`),
      isCompressed: false,
    });
  });
}

/** Writes the archive of the pause image to a folder, and returns its path. */
export async function writePauseImage(pause: string, folder: string): Promise<string> {
  const root = join(folder, "pause");
  await mkdir(root, { recursive: true });
  await copyFile(pause, join(root, "pause"));
  const path = join(folder, "pause.tar");
  await writeImage(path, {
    name: pauseImage,
    root,
    config: { Entrypoint: ["/pause"], User: "65535:65535" },
    tar: [],
    isCompressed: false,
  });
  return path;
}

/** Makes the file in a folder beside it, so that it appears whole. Two that make it at once end with one. */
async function withDraft(path: string, make: (draft: string) => Promise<void>): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  const draft = await mkdtemp(`${path}.`);
  try {
    await make(draft);
    await rename(join(draft, "image.tar"), path);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
