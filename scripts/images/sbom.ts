import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { Source } from "./sources.ts";

export interface ImageContents {
  readonly name: string;
  /** Digest of the image's manifest. */
  readonly digest: string;
  readonly sources: readonly Source[];
  /** Programs in Go, which know their modules. */
  readonly binaries: readonly string[];
  /** Other parts. */
  readonly components?: readonly Component[];
}

export interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly downloadLocation: string;
  readonly sha256?: string;
  readonly license?: string;
}

/** Licences of the sources, as their projects declare them. */
const licenses: Readonly<Record<string, string>> = { musl: "MIT", dropbear: "MIT", busybox: "GPL-2.0-only" };

/** Returns the parts of an image as an SPDX 2.3 document. Equal images give equal documents, so it has no time. */
export async function formatSbom(contents: ImageContents, env: NodeJS.ProcessEnv): Promise<string> {
  const { name, digest, sources, binaries, components: others = [] } = contents;
  const fromGo = binaries.length > 0 ? await listGoComponents(binaries, env) : [];
  const components = [...sources.map(toComponent), ...fromGo, ...others];
  const image = {
    SPDXID: "SPDXRef-image",
    name,
    versionInfo: digest,
    primaryPackagePurpose: "CONTAINER",
    downloadLocation: "NOASSERTION",
    licenseConcluded: "NOASSERTION",
    licenseDeclared: "Apache-2.0",
    copyrightText: "NOASSERTION",
    filesAnalyzed: false,
    externalRefs: [purlReference(`pkg:oci/${name}@${encodeURIComponent(digest)}`)],
  };
  const ids = components.map((_, at) => `SPDXRef-component-${at + 1}`);
  const contains = ids.map((id) => relate("SPDXRef-image", "CONTAINS", id));
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${digest.replace(":", "-")}`,
    creationInfo: { created: "1970-01-01T00:00:00Z", creators: ["Tool: npm run images"] },
    packages: [image, ...components.map((component, at) => ({ SPDXID: ids[at], ...toPackage(component) }))],
    relationships: [relate("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image"), ...contains],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Returns the digest of the image that an SBOM describes. */
export async function readDigest(sbom: string): Promise<string> {
  const { packages } = JSON.parse(await readFile(sbom, "utf8")) as { packages: { versionInfo: string }[] };
  return packages[0]?.versionInfo ?? "";
}

function toComponent({ name, version, url, sha256 }: Source): Component {
  const purl = `pkg:generic/${name}@${version}?download_url=${encodeURIComponent(url)}`;
  return { name, version, purl, downloadLocation: url, sha256, license: licenses[name] ?? "NOASSERTION" };
}

/** Modules that the programs contain, and Go's own library. */
async function listGoComponents(binaries: readonly string[], env: NodeJS.ProcessEnv): Promise<Component[]> {
  const { stdout } = await promisify(execFile)("go", ["version", "-m", ...binaries], { env, maxBuffer: 2 ** 24 });
  const modules = [...stdout.matchAll(/^\tdep\t(\S+)\t(\S+)/gm)].map(([, path = "", version = ""]) => ({
    name: path,
    version,
    purl: `pkg:golang/${path}@${version}`,
    downloadLocation: `https://${path}`,
  }));
  const [, version = ""] = /: go(\S+)$/m.exec(stdout) ?? [];
  const standard = {
    name: "stdlib",
    version,
    purl: `pkg:golang/stdlib@${version}`,
    downloadLocation: `https://go.dev/dl/go${version}.src.tar.gz`,
    license: "BSD-3-Clause",
  };
  const unique = new Map([standard, ...modules].map((component) => [component.purl, component]));
  return [...unique.values()].toSorted((left, right) => (left.purl < right.purl ? -1 : 1));
}

function toPackage({ name, version, purl, downloadLocation, sha256, license = "NOASSERTION" }: Component): object {
  return {
    name,
    versionInfo: version,
    downloadLocation,
    filesAnalyzed: false,
    licenseConcluded: "NOASSERTION",
    licenseDeclared: license,
    copyrightText: "NOASSERTION",
    ...(sha256 === undefined ? {} : { checksums: [{ algorithm: "SHA256", checksumValue: sha256 }] }),
    externalRefs: [purlReference(purl)],
  };
}

function purlReference(locator: string): object {
  return { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: locator };
}

function relate(from: string, relationshipType: string, to: string): object {
  return { spdxElementId: from, relationshipType, relatedSpdxElement: to };
}
