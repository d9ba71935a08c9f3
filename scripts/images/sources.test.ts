import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { downloadSources, formatSourceFile, readSources } from "./sources.ts";
import { readToolsSources } from "./tools-programs.ts";

it("the Dockerfile of images/tools pins the sources that `npm run images` builds", async () => {
  const sources = await readToolsSources();

  expect(sources.map(({ name, file }) => [name, file])).toEqual([
    ["musl", "musl.tar.gz"],
    ["dropbear", "dropbear.tar.bz2"],
    ["busybox", "busybox.tar.bz2"],
  ]);
});

const checksum = "e098034a843699200c8c977a991fff73159735bf795d5f72ef672c41a6b1ae81";

it.each([
  ["no checksum", "ADD https://example.com/tool-1.0.tar.gz tool.tar.gz"],
  ["a short checksum", `ADD --checksum=sha256:${checksum.slice(1)} https://example.com/tool-1.0.tar.gz tool.tar.gz`],
  ["an address without TLS", `ADD --checksum=sha256:${checksum} http://example.com/tool-1.0.tar.gz tool.tar.gz`],
  ["no version", `ADD --checksum=sha256:${checksum} https://example.com/tool.tar.gz tool.tar.gz`],
])("a source with %s is refused", (_, line) => {
  expect(() => readSources(`FROM scratch\n${line}\n`)).toThrow(`No pinned source archive: ${line}`);
});

it("a download with another checksum is refused, and nothing of it is kept", async () => {
  const cache = await openFolder();
  const env = { PATH: "", BERTH_CACHE: cache };
  const url = await serve("changed on the way");
  const source = { url, name: "tool", version: "1.0", sha256: checksum, file: "tool.tar.gz" };

  await expect(downloadSources([source], env)).rejects.toThrow(
    /^tool-1\.0\.tar\.gz could not be downloaded .*checksum/,
  );

  await expect(readFile(join(cache, "sources", formatSourceFile(source)))).rejects.toThrow("ENOENT");
});

it("a download is made once, and again if its file was damaged", async () => {
  const cache = await openFolder();
  const env = { PATH: "", BERTH_CACHE: cache };
  const url = await serve("the source");
  const sha256 = createHash("sha256").update("the source").digest("hex");
  const source = { url, name: "tool", version: "1.0", sha256, file: "tool.tar.gz" };

  const folder = await downloadSources([source], env);
  await writeFile(join(folder, formatSourceFile(source)), "half of the");
  await downloadSources([source], env);
  await downloadSources([{ ...source, url: "https://127.0.0.1:1/tool-1.0.tar.gz" }], env);

  expect(await readFile(join(folder, formatSourceFile(source)), "utf8")).toBe("the source");
});

async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-sources-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function serve(text: string): Promise<string> {
  const server = createServer((_, response) => response.end(text)).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/tool-1.0.tar.gz`;
}
