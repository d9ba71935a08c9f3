import { expect, test } from "vitest";
import { wrongImports } from "./layer-rules.ts";

test.each([
  ["packages/http/x.ts", 'import { readSettings } from "#aws/settings/config.ts";'],
  ["packages/http/x.ts", 'import type { Settings } from "../aws/config.ts";'],
  ["packages/http/dialects/x.ts", 'export { lambda } from "../../lambda/lambda.ts";'],
  ["packages/core/pools/x.ts", 'import { open } from "node:fs";'],
  ["packages/core/pools/x.ts", 'import * as z from "zod";'],
  ["packages/core/x.ts", 'import {\n  a,\n  b,\n} from "#http/app.ts";'],
  ["packages/core/x.ts", 'import "#tests/fixtures/clock.ts";'],
  ["packages/process/x.ts", 'const { table } = await import("#sqlite/table.ts");'],
  ["packages/local/x.ts", 'import { endpoint } from "../../functions/shared/live.ts";'],
  ["packages/gateway/ssh/x.ts", 'import { enterRun } from "#process/exec/ssh-runs.ts";'],
  ["packages/gateway/ssh/x.ts", 'import { sshHostKey } from "#local/home/ssh-host-key.ts";'],
  ["packages/relay/x.ts", 'import { readRun } from "#process/runs/records.ts";'],
  ["packages/local/x.ts", 'import { bundle } from "../../scripts/bundle.ts";'],
  ["packages/core/environments/record/x.ts", 'import { step } from "../steps/step.ts";'],
  ["packages/core/environments/verbs/x.ts", 'import { step } from "#core/environments/steps/step.ts";'],
  ["packages/local/x.ts", 'import { openSshFixture } from "./ssh-fixture.ts";'],
  ["packages/local/x.ts", 'import { openFixture } from "#process/fixture.ts";'],
  ["packages/process/x.ts", 'const { jupyterStub } = await import("./jupyter-stub.ts");'],
  ["packages/aws/x.ts", 'import { startMoto } from "#tests/aws/moto.ts";'],
  ["functions/gpu-dev/jobs/x.ts", 'import { submitted } from "./submit.test.ts";'],
  ["packages/sdk/x.ts", 'import { open } from "node:fs";'],
  ["packages/sdk/x.ts", 'import { SignatureV4 } from "@smithy/signature-v4";'],
  ["packages/sdk/x.ts", 'import type { Clock } from "#core/ports/clock.ts";'],
  ["packages/cli/x.ts", 'import { replaceFile } from "../local/secret-file.ts";'],
  ["packages/cli/x.ts", 'const { readConfig } = await import("#aws/settings/config.ts");'],
  ["scripts/start.ts", 'import { memoryWorld } from "#tests/worlds/memory-world.ts";'],
])("%s is refused %s", (file, text) => {
  expect(wrongImports(file, text)).toHaveLength(1);
});

test.each([
  ["packages/core/pools/x.ts", 'import { keyText } from "../keys.ts";'],
  ["packages/core/environments/steps/x.ts", 'import { parseEnvironment } from "../record/parse.ts";'],
  ["packages/core/pools/x.ts", 'import { step } from "../environments/steps/step.ts";'],
  ["packages/http/x.ts", 'import { Problem } from "#core/problem.ts";\nimport * as z from "zod";'],
  ["packages/lambda/x.ts", 'import { systemClock } from "#aws/clock.ts";'],
  ["packages/local/x.ts", 'import { startSsh } from "#gateway/ssh/ssh.ts";'],
  ["functions/gpu-dev/jobs/x.ts", 'import { HOME } from "#functions/socket/schemas.ts";'],
  ["packages/http/x.test.ts", 'import { manualClock } from "#tests/fixtures/clock.ts";'],
  ["packages/local/x-fixture.ts", 'import { openFixture } from "#process/fixture.ts";'],
  ["tests/e2e/x.ts", 'import { root } from "./stack-fixture.ts";'],
  ["tests/aws/x.ts", 'import { patient } from "./patient.ts";'],
  ["packages/sdk/aws.ts", 'import { SignatureV4 } from "@smithy/signature-v4";'],
  ["packages/cli/x.ts", 'import { open } from "node:fs";\nimport { Berth } from "../sdk/berth.ts";'],
  ["scripts/x.ts", 'import { memoryWorld } from "#tests/worlds/memory-world.ts";'],
])("%s may contain %s", (file, text) => {
  expect(wrongImports(file, text)).toEqual([]);
});

test("a folder that is not in the table is refused", () => {
  expect(() => wrongImports("packages/attic/x.ts", "")).toThrow("packages/attic is not in the table of layers");
});
