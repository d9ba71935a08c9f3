import { execFile } from "node:child_process";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { hashFile } from "../../scripts/images/oci-archive.ts";
import { buildToolsImage } from "../../scripts/images/tools-image.ts";
import { cacheFolder } from "../cluster/binary.ts";

const untar = async (archive: string, file: string) =>
  (await promisify(execFile)("tar", ["-xOf", archive, file], { maxBuffer: 2 ** 26, encoding: "buffer" })).stdout;

const readBlob = async (archive: string, digest: string) =>
  JSON.parse(String(await untar(archive, `./blobs/sha256/${digest.slice("sha256:".length)}`)));

/** Builds with a cache that has only the downloads of the other. It is kept, so equal sources are built twice once. */
async function buildAgain(): Promise<ReturnType<typeof buildToolsImage>> {
  const [cache, downloads] = ["second-build", "sources"].map((name) => join(cacheFolder(process.env), name));
  await mkdir(cache ?? "", { recursive: true });
  await symlink(downloads ?? "", join(cache ?? "", "sources")).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  return buildToolsImage({ ...process.env, BERTH_CACHE: cache });
}

it("two builds of images/tools from the same downloads are equal in every byte", { timeout: 1_800_000 }, async () => {
  const [first, second] = [await buildToolsImage(process.env), await buildAgain()];

  expect(second.archive).not.toBe(first.archive);
  expect(second.digest).toBe(first.digest);
  expect(await hashFile(second.archive)).toBe(await hashFile(first.archive));
  expect(await readFile(second.sbom, "utf8")).toBe(await readFile(first.sbom, "utf8"));
});

it("the archive of images/tools is an image of one layer for a user who is not root", async () => {
  const { archive, digest } = await buildToolsImage(process.env);

  const index = JSON.parse(String(await untar(archive, "./index.json")));
  const manifest = await readBlob(archive, index.manifests[0].digest);
  const config = await readBlob(archive, manifest.config.digest);

  expect(index.manifests).toMatchObject([{ digest, mediaType: "application/vnd.oci.image.manifest.v1+json" }]);
  expect(manifest.layers).toHaveLength(1);
  expect(config.config).toEqual({ Entrypoint: ["/tools/supervisor"], User: "65534:65534" });
});

it("the list of parts of images/tools names its sources by checksum, and the modules of its programs", async () => {
  const { sbom } = await buildToolsImage(process.env);

  const { spdxVersion, packages, relationships } = JSON.parse(await readFile(sbom, "utf8"));
  const names = packages.map(({ name }: { name: string }) => name);

  expect(spdxVersion).toBe("SPDX-2.3");
  expect(names).toEqual(expect.arrayContaining(["musl", "dropbear", "busybox", "stdlib", "github.com/pkg/sftp"]));
  expect(packages.filter(({ checksums }: { checksums?: unknown }) => checksums)).toHaveLength(3);
  expect(relationships).toHaveLength(packages.length);
});
