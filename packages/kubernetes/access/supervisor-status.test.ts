import { expect, it } from "vitest";
import { statusIn } from "./supervisor-status.ts";

it("the supervisor's report of Jupyter and GPUs is parsed", () => {
  const jupyter = { failures: 2, lastCode: 127, answers: false };
  const said = { services: { jupyter, ssh: {} }, gpuIdleSeconds: 61 };
  expect(statusIn(JSON.stringify(said))).toEqual({ jupyter, gpuIdleMs: 61_000 });
});

it.each([
  ...["", "x", "null", "1", "[]", "{}", '{"services":null}', '{"services":{}}', '{"services":{"jupyter":"on"}}'],
  '{"services":{"jupyter":{"failures":"2","lastCode":1,"answers":true}}}',
  '{"services":{"jupyter":{"failures":2,"lastCode":1,"answers":1}}}',
  ...['{"gpuIdleSeconds":"9"}', '{"gpuIdleSeconds":-1}', '{"gpuIdleSeconds":1e999}', '{"gpuIdleSeconds":null}'],
])("the forged report %j counts as empty", (status) => {
  expect(statusIn(status)).toEqual({ jupyter: undefined, gpuIdleMs: undefined });
});
