import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface ImageSource {
  /** Name with a tag, as a pod names it. */
  readonly name: string;
  /** Folder with the files of its only layer. */
  readonly root: string;
  /** Settings of its containers (OCI image-spec, config.md). */
  readonly config: object;
  /** Patterns of files that are not part of it (tar, `--exclude`). */
  readonly leaveOut: readonly string[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const mediaType = "application/vnd.oci.image";
const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Writes an image of one layer as an OCI archive (OCI image-spec, image-layout.md). Equal files give equal digests. */
export async function writeImage(path: string, { name, root, config, leaveOut }: ImageSource): Promise<void> {
  const draft = await mkdtemp(`${path}.`);
  try {
    const blobs = join(draft, "blobs", "sha256");
    await mkdir(blobs, { recursive: true });
    const layer = await packLayer(blobs, root, leaveOut);
    const putJson = (kind: string, value: object) =>
      putBytes(blobs, `${mediaType}.${kind}.v1+json`, JSON.stringify(value));
    const image = await putJson("config", {
      architecture: architectures[process.arch] ?? process.arch,
      os: "linux",
      config,
      rootfs: { type: "layers", diff_ids: [layer.digest] },
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
    await pack(`${draft}.tar`, draft, []);
    await rename(`${draft}.tar`, path);
  } finally {
    await rm(draft, { recursive: true, force: true });
    await rm(`${draft}.tar`, { force: true });
  }
}

async function packLayer(blobs: string, root: string, leaveOut: readonly string[]): Promise<Descriptor> {
  const file = join(blobs, "layer");
  await pack(file, root, leaveOut);
  const hash = createHash("sha256");
  for await (const part of createReadStream(file)) hash.update(part as Buffer);
  const digest = hash.digest("hex");
  const { size } = await stat(file);
  await rename(file, join(blobs, digest));
  return { mediaType: `${mediaType}.layer.v1.tar`, digest: `sha256:${digest}`, size };
}

async function putBytes(blobs: string, mediaType: string, text: string): Promise<Descriptor> {
  const digest = createHash("sha256").update(text).digest("hex");
  await writeFile(join(blobs, digest), text);
  return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
}

async function pack(file: string, folder: string, leaveOut: readonly string[]): Promise<void> {
  const fixed = ["--sort=name", "--mtime=@0", "--numeric-owner"];
  const excluded = leaveOut.map((pattern) => `--exclude=${pattern}`);
  await run("tar", [...fixed, ...excluded, "-C", folder, "-cf", file, "."], { maxBuffer: 2 ** 24 });
}
