import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { gatewayConfig, prepareGateway, writeGatewayFiles } from "./gateway-files.ts";
import { hashFile } from "./oci-archive.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dockerfile = readFileSync(join(root, "images/gateway/Dockerfile"), "utf8");

/** Returns what follows a word at the beginnings of lines. */
function readLines(word: string): string[] {
  return [...dockerfile.matchAll(new RegExp(`^${word} (.*)$`, "gm"))].map(([, rest = ""]) => rest);
}

it("starts the same program as the archive, with the same user and the same Node", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const [nodeImage = ""] = readLines("FROM");

  expect(nodeImage).toMatch(new RegExp(`^node:${devDependencies.node}-[a-z]+-slim AS program$`));
  expect(readLines("ENTRYPOINT").map((words) => JSON.parse(words))).toEqual([gatewayConfig.Entrypoint]);
  expect(readLines("USER")).toEqual([gatewayConfig.User]);
  expect(readLines("WORKDIR").at(-1)).toBe(gatewayConfig.WorkingDir);
});

it("copies all that its build reads, and fills the image with the same files as the archive", async () => {
  const context = openFolder(root, ".berth-context-");
  const out = join(context, "out");
  for (const words of readLines("COPY").filter((line) => !line.startsWith("--"))) copyInto(context, words.split(" "));
  // Stands for `npm ci`.
  symlinkSync(join(root, "node_modules"), join(context, "node_modules"));
  const [install, program = "", ...others] = readLines("RUN");
  const [node, ...words] = program.split(" ").map((word) => (word === "/out" ? out : word));

  execFileSync(process.execPath, words, { cwd: context });

  expect([install?.split(" ", 2), node, others]).toEqual([["npm", "ci"], "node", []]);
  const expected = openFolder(tmpdir(), "berth-gateway-");
  const parts = await prepareGateway();
  await writeGatewayFiles(expected, parts);
  const place = "gateway/main.mjs";
  const bundle = readFileSync(join(out, place), "utf8").replaceAll("../node_modules/", "node_modules/");
  expect(bundle === parts.bundle).toBe(true);
  expect(await hashFiles(out, place)).toEqual(await hashFiles(expected, place));
});

function openFolder(parent: string, prefix: string): string {
  const folder = mkdtempSync(join(parent, prefix));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Copies as the instruction does: files into a folder, or the contents of a folder into another. */
function copyInto(context: string, words: readonly string[]): void {
  const to = join(context, words.at(-1) ?? "");
  mkdirSync(to, { recursive: true });
  const filter = (file: string) => basename(file) !== "node_modules";
  for (const from of words.slice(0, -1).map((word) => join(root, word))) {
    const place = statSync(from).isDirectory() ? to : join(to, basename(from));
    cpSync(from, place, { recursive: true, filter });
  }
}

async function hashFiles(folder: string, except: string): Promise<readonly (readonly [string, string])[]> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();
  const files = names.filter((name) => name !== except && statSync(join(folder, name)).isFile());
  return Promise.all(files.map(async (name) => [name, await hashFile(join(folder, name))] as const));
}
