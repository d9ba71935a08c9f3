import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createGzip } from "node:zlib";

const run = promisify(execFile);

export interface ImageSource {
  /** Name with a tag, as a pod names it. */
  readonly name: string;
  /** Folder with the files of its only layer. */
  readonly root: string;
  /** Settings of its containers (OCI image-spec, config.md). */
  readonly config: object;
  /** Options of tar for the layer, such as `--exclude` and `--owner`. */
  readonly tar: readonly string[];
  /** Clients that push an uncompressed layer compress it, which changes the digest of the image. */
  readonly isCompressed: boolean;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Options of tar, so that neither the user nor the umask of a build shows. */
export const rootOwned: readonly string[] = ["--owner=0", "--group=0", "--mode=u=rwX,go=rX"];

const mediaType = "application/vnd.oci.image";
const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/**
 * Writes an image of one layer as an OCI archive (OCI image-spec, image-layout.md), and returns the digest of its
 * manifest. Equal files give equal digests.
 */
export async function writeImage(
  path: string,
  { name, root, config, tar, isCompressed }: ImageSource,
): Promise<string> {
  const draft = await mkdtemp(`${path}.`);
  try {
    const blobs = join(draft, "blobs", "sha256");
    await mkdir(blobs, { recursive: true });
    const file = join(blobs, "layer");
    await pack(file, root, tar);
    const diffId = await hashFile(file);
    const layer = await putLayer(blobs, file, isCompressed);
    const putJson = (kind: string, value: object) =>
      putBytes(blobs, `${mediaType}.${kind}.v1+json`, JSON.stringify(value));
    const image = await putJson("config", {
      architecture: architectures[process.arch] ?? process.arch,
      os: "linux",
      config,
      rootfs: { type: "layers", diff_ids: [diffId] },
    });
    const manifest = await putJson("manifest", {
      schemaVersion: 2,
      mediaType: `${mediaType}.manifest.v1+json`,
      config: image,
      layers: [layer],
    });
    // The first annotation is containerd's, the second that of the image-spec.
    const annotations = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name };
    await writeFile(join(draft, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    await writeFile(
      join(draft, "index.json"),
      JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
    );
    await pack(`${draft}.tar`, draft, rootOwned);
    await rename(`${draft}.tar`, path);
    return manifest.digest;
  } finally {
    await rm(draft, { recursive: true, force: true });
    await rm(`${draft}.tar`, { force: true });
  }
}

async function putLayer(blobs: string, file: string, isCompressed: boolean): Promise<Descriptor> {
  const packed = isCompressed ? `${file}.gz` : file;
  if (isCompressed) {
    // Its header has no name and no time.
    await pipeline(createReadStream(file), createGzip({ level: 9 }), createWriteStream(packed));
    await rm(file);
  }
  const digest = await hashFile(packed);
  const { size } = await stat(packed);
  await rename(packed, join(blobs, digest.slice("sha256:".length)));
  return { mediaType: `${mediaType}.layer.v1.tar${isCompressed ? "+gzip" : ""}`, digest, size };
}

/** Returns the digest of a file, as an image names it. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(file)) hash.update(part as Buffer);
  return `sha256:${hash.digest("hex")}`;
}

async function putBytes(blobs: string, mediaType: string, text: string): Promise<Descriptor> {
  const digest = createHash("sha256").update(text).digest("hex");
  await writeFile(join(blobs, digest), text);
  return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
}

async function pack(file: string, folder: string, options: readonly string[]): Promise<void> {
  const fixed = ["--sort=name", "--mtime=@0", "--numeric-owner", "--format=gnu"];
  await run("tar", [...fixed, ...options, "-C", folder, "-cf", file, "."], { maxBuffer: 2 ** 24 });
}
