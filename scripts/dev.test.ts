import { once } from "node:events";
import { readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freshCheckout, openStartFixture, root, type StartFixture } from "./start-fixture.ts";

let fixture: StartFixture;
beforeEach(() => {
  fixture = openStartFixture();
});
afterEach(() => fixture.close());

describe("npm run dev", () => {
  it("restarts the stack when a loaded file has changed", async () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const words = String(scripts.dev).split(" && exec node ")[1]?.split(" ") ?? ["--version"];
    // A changed file in this checkout would make the stacks of other tests compile everything again.
    const checkout = freshCheckout(fixture.beside);
    const running = fixture.run(words, checkout);
    let output = "";
    // On a busy machine the watcher learns of a file after the stack is up.
    const changing = setInterval(() => {
      const isUp = output.includes("Ctrl-C ends") && !output.includes("Restarting");
      if (isUp) utimesSync(join(checkout, "functions/shared/live.ts"), new Date(), new Date());
    }, 500);
    const read = (chunk: unknown) => {
      output += String(chunk);
      if (output.split("Ctrl-C ends").length > 2) running.kill("SIGTERM");
    };
    running.stdout.on("data", read);
    running.stderr.on("data", read);

    await once(running, "close");
    clearInterval(changing);

    expect(output).toMatch(/Ctrl-C ends.*Restarting.*Stopped: every environment that ran has ended.*Ctrl-C ends/s);
  });
});
