import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freshCheckout, openStartFixture, type StartFixture } from "./start-fixture.ts";

let fixture: StartFixture;
beforeEach(() => {
  fixture = openStartFixture();
});
afterEach(() => fixture.close());

/** Has a process print which parts of Node it has loaded when it is stopped. */
const tellsParts =
  '--import=data:text/javascript,process.once("SIGTERM", () => console.error(process.moduleLoadList.join("\\n")))';

describe("npm start", () => {
  it("loads the endpoints without the clients of AWS and the texts of zod, which it never asks", async () => {
    const directory = fixture.beside;
    const { process: running } = await fixture.start({ NODE_V8_COVERAGE: directory });

    running.kill("SIGTERM");
    await once(running, "exit");

    const loaded = readdirSync(directory).map((file) => readFileSync(join(directory, file), "utf8"));
    const loads = (path: string) => loaded.some((text) => text.includes(path));
    const paths = ["/functions/gpu-dev/jobs/submit.ts", "/@aws-sdk/client-", "/zod/v4/locales/de.js"];
    expect(paths.map(loads)).toEqual([true, false, false]);
  });

  it("does not hold Node's stripper of types (20 MB), not even when nothing is compiled yet", async () => {
    const { process: running } = await fixture.start({ NODE_COMPILE_CACHE: fixture.beside }, [tellsParts]);

    running.kill("SIGTERM");
    const parts = await text(running.stderr);

    expect([parts.includes("NativeModule sqlite"), parts.includes("amaro")]).toEqual([true, false]);
  });

  it("does not hold it after the first start of a checkout and after an update, for which it compiles once", async () => {
    const cwd = freshCheckout(fixture.beside);
    const file = join(cwd, "packages/local/printable.ts");
    const startOnce = async () => {
      const { process: running } = await fixture.start({ NODE_COMPILE_CACHE: undefined }, [tellsParts], cwd);
      running.kill("SIGTERM");
      return { holdsIt: (await text(running.stderr)).includes("amaro"), compiled: compiledIn(cwd) };
    };

    const first = await startOnce();
    writeFileSync(file, `${readFileSync(file, "utf8")}// Changed.\n`);
    const updated = await startOnce();
    const again = await startOnce();

    expect([first, updated, again].map(({ holdsIt }) => holdsIt)).toEqual([false, false, false]);
    expect(updated.compiled).not.toEqual(first.compiled);
    expect(again.compiled).toEqual(updated.compiled);
  });
});

/** When all was compiled there. */
function compiledIn(checkout: string): string[] {
  const cache = join(checkout, "node_modules/.cache/stack");
  return readdirSync(cache, { recursive: true, encoding: "utf8" })
    .filter((name) => /files-\d+$/.test(name))
    .map((name) => `${name} ${statSync(join(cache, name)).mtimeMs}`);
}
