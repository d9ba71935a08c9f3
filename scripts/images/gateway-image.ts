import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { cacheFolder } from "#tests/cluster/binary.ts";
import { buildOnce } from "./build-once.ts";
import { hashFile, rootOwned, writeImage } from "./oci-archive.ts";
import { type Component, formatSbom } from "./sbom.ts";
import { type BuiltImage, readDigest } from "./tools-image.ts";
import { hashOf } from "./tools-programs.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** Name by which a node that imports the archive knows the image. */
const gatewayImage = "localhost/berth-gateway:1";

const [archiveName, sbomName] = ["berth-gateway.tar", "berth-gateway.spdx.json"];
/** The SSH library finds files beside its own at run time, so it stays a package. These are all that it needs. */
const packages = ["ssh2", "asn1", "safer-buffer", "bcrypt-pbkdf", "tweetnacl"] as const;
const program = "/gateway/main.mjs";
const nodePath = "/usr/bin/node";

/**
 * Builds the image unless it is in the cache: Node, the shared libraries that it loads on this machine, and the program in
 * one file. It has no shell. Equal sources and libraries give equal files.
 */
export async function buildGatewayImage(env: NodeJS.ProcessEnv): Promise<BuiltImage> {
  const [{ bundle, bundled }, libraries] = [await bundleProgram(), await listLibraries()];
  const parts = [...listNpmComponents(["node", ...packages, ...bundled]), ...(await listDebianComponents(libraries))];
  const hashes = await Promise.all([process.execPath, ...libraries, fileURLToPath(import.meta.url)].map(hashFile));
  const inputs = hashOf([bundle, parts, libraries, hashes]);
  const folder = await buildOnce(join(cacheFolder(env), "images", `gateway-${inputs}`), async (draft) => {
    const digest = await writeArchive(join(draft, archiveName), bundle, libraries);
    const contents = { name: "berth-gateway", digest, sources: [], binaries: [], components: parts };
    await writeFile(join(draft, sbomName), await formatSbom(contents, env));
  });
  const sbom = join(folder, sbomName);
  return { archive: join(folder, archiveName), sbom, digest: await readDigest(sbom) };
}

/** Bundles the program. Unlike functions it keeps all sources of AWS credentials, such as EKS Pod Identity. */
async function bundleProgram(): Promise<{ readonly bundle: string; readonly bundled: readonly string[] }> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["packages/gateway-server/main.ts"],
    bundle: true,
    write: false,
    metafile: true,
    minifySyntax: true,
    platform: "node",
    format: "esm",
    target: "node24",
    mainFields: ["module", "main"],
    external: ["ssh2"],
    logLevel: "silent",
    // Modules have no `require`, which CommonJS packages call.
    banner: { js: 'import{createRequire as _cr}from"node:module";const require=_cr(import.meta.url);' },
  });
  const inputs = Object.keys(metafile.inputs).map((input) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]);
  return { bundle: outputFiles[0]?.text ?? "", bundled: [...new Set(inputs.flatMap((name) => name ?? []))].toSorted() };
}

/** Returns the shared libraries that Node loads, with the loader itself. */
async function listLibraries(): Promise<string[]> {
  const { stdout } = await run("ldd", [process.execPath]);
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, file = ""]) => file).toSorted();
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

async function writeArchive(path: string, bundle: string, libraries: readonly string[]): Promise<string> {
  const files = await mkdtemp(join(tmpdir(), "berth-gateway-"));
  try {
    await putFile(files, nodePath, process.execPath);
    await chmod(join(files, nodePath), 0o755);
    for (const library of libraries) await putFile(files, library, library);
    await mkdir(join(files, dirname(program), "node_modules"), { recursive: true });
    await writeFile(join(files, program), bundle);
    for (const name of packages) {
      const to = join(files, dirname(program), "node_modules", name);
      await cp(join(root, "node_modules", name), to, { recursive: true });
    }
    const config = { Entrypoint: [nodePath, program], User: "65534:65534", WorkingDir: dirname(program) };
    return await writeImage(path, { name: gatewayImage, root: files, config, tar: rootOwned, isCompressed: true });
  } finally {
    await rm(files, { recursive: true, force: true });
  }
}

async function putFile(folder: string, place: string, from: string): Promise<void> {
  const to = join(folder, place);
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}
