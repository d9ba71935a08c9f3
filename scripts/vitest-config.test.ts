import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("vitest on an old Node says how to start it", async () => {
  const config = new URL("../vitest.config.ts", import.meta.url).href;
  const script = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } });
    await import(${JSON.stringify(config)}).then(() => console.log("taken"), (error) => console.log(error.message));`;

  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);

  expect(stdout).toContain("Start it as `npx vitest …`");
});
