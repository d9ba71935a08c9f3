import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freshCheckout, openStartFixture, type StartFixture } from "./start-fixture.ts";

let fixture: StartFixture;
beforeEach(() => {
  fixture = openStartFixture();
});
afterEach(() => fixture.close());

/** Makes a process print its loaded parts of Node when it is stopped. */
const tellsParts =
  '--import=data:text/javascript,process.once("SIGTERM", () => console.error(process.moduleLoadList.join("\\n")))';

describe("npm start", () => {
  it("loads a few modules with the endpoints, and without AWS clients and zod's texts", async () => {
    const directory = fixture.beside;
    const { process: running } = await fixture.start({ NODE_V8_COVERAGE: directory });

    running.kill("SIGTERM");
    await once(running, "exit");

    const [loaded = []] = readdirSync(directory).map((file) => filesCovered(join(directory, file)));
    const modules = loaded.filter((file) => file.includes("/.cache/bundle-"));
    const texts = modules.map((file) => readFileSync(file, "utf8")).join("");
    const sources = ["functions/gpu-dev/jobs/submit.ts", "node_modules/@aws-sdk/client-", "Eingabe"];
    expect(modules.length).toBeGreaterThan(0);
    expect(loaded.filter((file) => file.endsWith(".ts"))).toEqual([]);
    expect(sources.map((source) => texts.includes(source))).toEqual([true, false, false]);
  });

  it("shows our own files and lines in stack traces", async () => {
    const cwd = freshCheckout(fixture.beside);
    const file = join(cwd, "functions/shared/live.ts");
    const source = readFileSync(file, "utf8");
    const thrower = 'async (): Promise<{ status: "alive" }> => {\nthrow new TypeError("planted");\n}';
    writeFileSync(file, source.replace('async () => ({ status: "alive" as const })', thrower));
    const line = readFileSync(file, "utf8").split("\n").indexOf('throw new TypeError("planted");') + 1;

    const said = await getLog(fixture.run(["scripts/start.mjs"], cwd), "/live", "planted");

    expect(line).toBeGreaterThan(0);
    expect(said).toContain(`functions/shared/live.ts:${line}:`);
  });

  it("does not load Node's type stripper (20 MB), even with an empty compile cache", async () => {
    const { process: running } = await fixture.start({ NODE_COMPILE_CACHE: fixture.beside }, [tellsParts]);

    running.kill("SIGTERM");
    const parts = await text(running.stderr);

    expect([parts.includes("NativeModule sqlite"), parts.includes("amaro")]).toEqual([true, false]);
  });

  it.each(["packages/local/shell-text.ts", "packages/cli/run/frames.ts"])(
    "bundles once at the first start of a checkout, and after an update of %s",
    async (path) => {
      const cwd = freshCheckout(fixture.beside);
      const file = join(cwd, path);
      const startOnce = async () => {
        const { process: running } = await fixture.start({ NODE_COMPILE_CACHE: undefined }, [tellsParts], cwd);
        running.kill("SIGTERM");
        return { holdsIt: (await text(running.stderr)).includes("amaro"), bundle: bundleIn(cwd) };
      };

      const first = await startOnce();
      writeFileSync(file, `${readFileSync(file, "utf8")}export const changed = true;\n`);
      const updated = await startOnce();
      const again = await startOnce();

      expect([first, updated, again].map(({ holdsIt }) => holdsIt)).toEqual([false, false, false]);
      expect(updated.bundle).not.toEqual(first.bundle);
      expect(again.bundle).toEqual(updated.bundle);
    },
  );

  it("serves a function that was added after the last start", async () => {
    const cwd = freshCheckout(fixture.beside);
    const first = await fixture.start({}, [], cwd);
    first.process.kill("SIGTERM");
    await once(first.process, "exit");
    const live = readFileSync(join(cwd, "functions/shared/live.ts"), "utf8");
    writeFileSync(join(cwd, "functions/shared/alive.ts"), live.replaceAll('"/live"', '"/alive"'));

    const { url } = await fixture.start({}, [], cwd);

    expect((await fetch(`${url}/alive`)).status).toBe(200);
  });

  it("starts from the source if no bundle can be made", async () => {
    const cwd = freshCheckout(fixture.beside);
    rmSync(join(cwd, "node_modules/esbuild"));

    const { url } = await fixture.start({}, [], cwd);

    expect((await fetch(`${url}/live`)).status).toBe(200);
  });
});

/** Requests this path, and returns the stack's output once it contains this word. */
async function getLog({ stdout }: ChildProcessWithoutNullStreams, path: string, word: string): Promise<string> {
  let printed = "";
  let input: Promise<Response> | undefined;
  for await (const chunk of stdout) {
    printed += String(chunk);
    const [, url] = /"event":"started","url":"([^"]+)".*\n/.exec(printed) ?? [];
    if (url) input ??= fetch(`${url}${path}`);
    if (new RegExp(`${word}.*\n`).test(printed)) break;
  }
  expect((await input)?.status).toBe(500);
  return printed;
}

function filesCovered(report: string): string[] {
  const { result } = JSON.parse(readFileSync(report, "utf8")) as { result: readonly { url: string }[] };
  return result.filter(({ url }) => url.startsWith("file:")).map(({ url }) => fileURLToPath(url));
}

function bundleIn(checkout: string): string[] {
  const cache = join(checkout, "node_modules/.cache");
  return readdirSync(cache, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("/inputs"))
    .map((name) => `${name} ${statSync(join(cache, name)).mtimeMs}`);
}
