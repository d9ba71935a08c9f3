import { afterAll, beforeAll, expect, test } from "vitest";
import type { FunctionEntry } from "../../stacks/compute/functions-file.ts";
import { type DeployedFunctions, deployFunctions, UNZIP_MISSING } from "./deployed.ts";
import { listCalls } from "./runtime/zip-calls.ts";
import { functions, LONG_MS, synthesizeStage } from "./stage.ts";

let deployed: DeployedFunctions | undefined;

beforeAll(async () => {
  if (UNZIP_MISSING === undefined) deployed = await deployFunctions(await synthesizeStage(), functions);
}, LONG_MS);

afterAll(() => deployed?.stop());

test("every zip contains a module and its assets, and no source map", async ({ skip }) => {
  if (!deployed) return skip(UNZIP_MISSING);
  const { filesOf } = deployed;
  const found = await Promise.all(functions.map(async ({ name }) => [name, await filesOf(name)] as const));

  const lacksModule = found.filter(([, files]) => !files.includes("index.mjs"));
  const others = found.flatMap(([name, files]) =>
    files.filter((file) => !/^index\.mjs$|^assets\/.+(?<!\.map)$/.test(file)).map((file) => `${name}: ${file}`),
  );

  expect([lacksModule, others]).toEqual([[], []]);
});

test(
  "every zip loads as in Lambda, with its own environment, and answers events of AWS",
  async ({ skip }) => {
    if (!deployed) return skip(UNZIP_MISSING);
    const { named, variablesOf } = deployed;
    const wrong: string[] = [];
    const call = async (entry: FunctionEntry) => {
      const { prepare, invoke } = named(entry.name);
      await prepare();
      for (const { event, isRight } of listCalls(entry, variablesOf(entry.name).ORIGIN_SECRETS ?? "")) {
        const answered = await invoke(event);
        if (!isRight(answered)) wrong.push(`${entry.name}: ${JSON.stringify(answered).slice(0, 600)}`);
      }
    };
    const waiting = [...functions];
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        await call(next).catch((error) => wrong.push(String(error)));
        await named(next.name).stop();
      }
    };
    await Promise.all([work(), work()]);

    expect(wrong).toEqual([]);
  },
  LONG_MS,
);
