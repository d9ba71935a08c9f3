import { expect, it } from "vitest";
import { addSst, makeStageFolder, runIn } from "./cluster/stage-fixture.ts";

it("SST's own removal is refused, and each other command of SST gets its words", async () => {
  const folder = await makeStageFolder({});
  await addSst(folder, 3);
  const run = (...words: string[]) => runIn(folder, "../sst", words);

  expect(await run("remove", "--stage", "dev")).toMatchObject({ code: 2, stdout: "" });
  expect(await run("--stage", "remove", "remove")).toMatchObject({ code: 2, stdout: "" });
  expect(await run("secret", "remove", "WebhookSecret", "--stage", "dev")).toMatchObject({
    code: 3,
    stdout: "sst secret remove WebhookSecret --stage dev\n",
  });
});

it.each(["../sst", "deploy"] as const)("without SST, %s says how it is installed", async (script) => {
  const folder = await makeStageFolder({ ACCESS: "none" });

  const { code, stderr } = await runIn(folder, script, ["--stage", "dev", "--verbose"]);

  expect(code).toBe(1);
  expect(stderr).toMatch(/(^|\n)SST is not installed: npm ci --prefix tools\/sst\n$/);
});
