import { execFile } from "node:child_process";
import { chmod, copyFile, cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../../", import.meta.url));
const program = "/gateway/main.mjs";
const nodePath = "/usr/bin/node";

/** The SSH library finds files beside its own at run time, so it stays a package. These are all that it needs. */
export const gatewayPackages = ["ssh2", "asn1", "safer-buffer", "bcrypt-pbkdf", "tweetnacl"] as const;

/**
 * V8 would keep up to 48 MB for new objects. A gateway with 400 idle sessions takes a third less with little of it. V8
 * also marks the whole heap at each 64 MB of buffers, in threads beside the event loop, which took up to half of the
 * gateway's processor time. With these options, buffers are freed with the new objects and count as the heap does, and
 * garbage is collected in the event loop.
 */
export const nodeOptions = [
  "--max-semi-space-size=1",
  "--single-threaded-gc",
  "--external-memory-accounted-in-global-limit",
] as const;

export const gatewayConfig = {
  Entrypoint: [nodePath, ...nodeOptions, program],
  User: "65534:65534",
  WorkingDir: dirname(program),
};

/** The program in one file, the packages in it, and the shared libraries of this process's Node. */
export interface GatewayParts {
  readonly bundle: string;
  readonly bundled: readonly string[];
  readonly libraries: readonly string[];
}

export async function prepareGateway(): Promise<GatewayParts> {
  return { ...(await bundleProgram()), libraries: await listLibraries() };
}

/** Writes the files of the image below a folder: Node, its libraries, the program and its packages. It has no shell. */
export async function writeGatewayFiles(folder: string, { bundle, libraries }: GatewayParts): Promise<void> {
  await putFile(folder, nodePath, process.execPath);
  await chmod(join(folder, nodePath), 0o755);
  for (const library of libraries) await putFile(folder, library, library);
  await mkdir(join(folder, dirname(program), "node_modules"), { recursive: true });
  await writeFile(join(folder, program), bundle);
  for (const name of gatewayPackages) {
    const to = join(folder, dirname(program), "node_modules", name);
    await cp(join(root, "node_modules", name), to, { recursive: true });
  }
}

/** Bundles the program. Unlike functions it keeps all sources of AWS credentials, such as EKS Pod Identity. */
async function bundleProgram(): Promise<Pick<GatewayParts, "bundle" | "bundled">> {
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
  const { stdout } = await promisify(execFile)("ldd", [process.execPath]);
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, file = ""]) => file).toSorted();
}

async function putFile(folder: string, place: string, from: string): Promise<void> {
  const to = join(folder, place);
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}
