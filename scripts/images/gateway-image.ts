import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cacheFolder } from "#tests/cluster/binary.ts";
import { buildOnce } from "./build-once.ts";
import {
  type GatewayParts,
  gatewayConfig,
  gatewayPackages,
  prepareGateway,
  writeGatewayFiles,
} from "./gateway-files.ts";
import { hashFile, rootOwned, writeImage } from "./oci-archive.ts";
import { type Component, formatSbom, readDigest } from "./sbom.ts";
import type { BuiltImage } from "./tools-image.ts";
import { hashOf } from "./tools-programs.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** Name by which a node that imports the archive knows the image. */
export const gatewayImage = "localhost/berth-gateway:1";

const [archiveName, sbomName] = ["berth-gateway.tar", "berth-gateway.spdx.json"];

/** Builds the image unless it is in the cache. Equal sources and libraries of this machine give equal files. */
export async function buildGatewayImage(env: NodeJS.ProcessEnv): Promise<BuiltImage> {
  const gateway = await prepareGateway();
  const { bundle, bundled, libraries } = gateway;
  const npmParts = listNpmComponents(["node", ...gatewayPackages, ...bundled]);
  const parts = [...npmParts, ...(await listDebianComponents(libraries))];
  const recipe = ["gateway-image.ts", "gateway-files.ts"].map((name) => fileURLToPath(new URL(name, import.meta.url)));
  const hashes = await Promise.all([process.execPath, ...libraries, ...recipe].map(hashFile));
  const inputs = hashOf([bundle, parts, libraries, hashes]);
  const folder = await buildOnce(join(cacheFolder(env), "images", `gateway-${inputs}`), async (draft) => {
    const digest = await writeArchive(join(draft, archiveName), gateway);
    const contents = { name: "berth-gateway", digest, sources: [], binaries: [], components: parts };
    await writeFile(join(draft, sbomName), await formatSbom(contents, env));
  });
  const sbom = join(folder, sbomName);
  return { archive: join(folder, archiveName), sbom, digest: await readDigest(sbom) };
}

function listNpmComponents(names: readonly string[]): Component[] {
  return names.map((name) => {
    const file = readFileSync(join(root, "node_modules", name, "package.json"), "utf8");
    const { version, license } = JSON.parse(file) as { readonly version: string; readonly license?: string };
    const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
    // The purl names the package. Where it was downloaded from is a setting of npm.
    return { name, version, purl, downloadLocation: "NOASSERTION", ...(license !== undefined && { license }) };
  });
}

/** Returns the packages of Debian that have these libraries; none on another distribution. */
async function listDebianComponents(libraries: readonly string[]): Promise<Component[]> {
  const lines = async (words: readonly string[]) =>
    run("dpkg-query", words).then(
      ({ stdout }) => stdout.trim().split("\n"),
      () => [],
    );
  // The database may know a library below / or below /usr.
  const places = new Set(libraries.map((file) => file.replace(/^\/usr(?=\/)/, "")));
  const owners = await lines(["--search", ...libraries.map((file) => `*/${basename(file)}`)]);
  const names = owners.flatMap((line) => {
    const [, name, file = ""] = /^(\S+): (\S+)$/.exec(line) ?? [];
    return name !== undefined && places.has(file.replace(/^\/usr(?=\/)/, "")) ? [name] : [];
  });
  if (names.length === 0) return [];
  const format = ["Package", "Version"].map((field) => `\${${field}}`).join(" ");
  const versions = await lines(["--show", "--showformat", `${format}\n`, ...new Set(names.toSorted())]);
  return versions.map((line) => {
    const [name = "", version = ""] = line.split(" ");
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}`;
    return { name, version, purl, downloadLocation: "NOASSERTION" };
  });
}

async function writeArchive(path: string, gateway: GatewayParts): Promise<string> {
  const files = await mkdtemp(join(tmpdir(), "berth-gateway-"));
  try {
    await writeGatewayFiles(files, gateway);
    const options = { name: gatewayImage, config: gatewayConfig, tar: rootOwned, isCompressed: true };
    return await writeImage(path, { ...options, root: files });
  } finally {
    await rm(files, { recursive: true, force: true });
  }
}
