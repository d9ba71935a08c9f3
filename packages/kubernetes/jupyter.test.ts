import { expect, it } from "vitest";
import { jupyterIn } from "./jupyter.ts";

it("what the supervisor says of Jupyter is read", () => {
  const jupyter = { failures: 2, lastCode: 127, answers: false };
  expect(jupyterIn(JSON.stringify({ services: { jupyter, ssh: {} } }))).toEqual(jupyter);
});

it.each([
  ...["", "x", "null", "1", "[]", "{}", '{"services":null}', '{"services":{}}', '{"services":{"jupyter":"on"}}'],
  '{"services":{"jupyter":{"failures":"2","lastCode":1,"answers":true}}}',
  '{"services":{"jupyter":{"failures":2,"lastCode":1,"answers":1}}}',
])("what stands in the place of the supervisor and says %j says nothing", (status) => {
  expect(jupyterIn(status)).toBeUndefined();
});
