import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { buildGatewayImage } from "./gateway-image.ts";
import type { BuiltImage } from "./tools-image.ts";

let folder: string;
let images: BuiltImage[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-image-"));
  images = [];
  for (const cache of ["first", "second"]) {
    images.push(await buildGatewayImage({ ...process.env, BERTH_CACHE: join(folder, cache) }));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Manifest {
  readonly layers: readonly { readonly digest: string }[];
  readonly config: { readonly digest: string };
}

/** Unpacks the image, and returns its root and the words that start it. */
function unpack(): { readonly root: string; readonly words: readonly string[] } {
  const [archive, root] = [join(folder, "archive"), join(folder, "root")];
  for (const each of [archive, root]) mkdirSync(each);
  execFileSync("tar", ["-xf", images[0]?.archive ?? "", "-C", archive]);
  const blob = (digest: string) => join(archive, "blobs", digest.replace(":", "/"));
  const read = <Value>(file: string) => JSON.parse(readFileSync(file, "utf8")) as Value;
  const { layers, config } = read<Manifest>(blob(images[0]?.digest ?? ""));
  for (const { digest } of layers) execFileSync("tar", ["-xzf", blob(digest), "-C", root]);
  const { Entrypoint } = read<{ config: { Entrypoint: string[] } }>(blob(config.digest)).config;
  return { root, words: Entrypoint };
}

it("is the same for equal sources", () => {
  const [first, second] = images;

  expect(first?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(second?.digest).toBe(first?.digest);
  expect(readFileSync(second?.sbom ?? "", "utf8")).toBe(readFileSync(first?.sbom ?? "", "utf8"));
});

it("names its parts, down to the C library", () => {
  const { packages } = JSON.parse(readFileSync(images[0]?.sbom ?? "", "utf8")) as { packages: { name: string }[] };

  const names = packages.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["node", "ssh2", "ws", "@aws-sdk/client-dynamodb"]));
  if (existsSync("/etc/debian_version")) expect(names).toEqual(expect.arrayContaining(["libc6", "libstdc++6"]));
});

it("runs without root, on a file system that it cannot change", async ({ skip }) => {
  if (!canSandbox()) skip("this machine has no bubblewrap that works");
  const { root, words } = unpack();
  const inside = ["--ro-bind", root, "/", "--unshare-all", "--uid", "65534", "--gid", "65534", "--clearenv"];

  const error = await new Promise<string>((resolve) => {
    execFile("bwrap", [...inside, ...words], (_, __, text) => resolve(text));
  });

  expect(error).toMatch(/^Bad settings:\n {2}TABLE_NAME must be set\n/);
  expect(error).toContain("  HOST_KEY_FILE must be the path of a file\n");
});
