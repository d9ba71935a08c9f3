import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import schema from "./node-groups.schema.json" with { type: "json" };

const isValid = new Ajv2020().compile(schema);
const group = (more: object) => [{ name: "gpus", max: 1, zones: ["us-east-1a"], ...more }];

test.each(["p5.48xlarge", "p5en.48xlarge", "gr6.8xlarge", "m7i.large", "m7i.metal-24xl"])(
  "an editor accepts the machine type %s, which Berth knows or MACHINE_TYPES may add",
  (type) => {
    expect(isValid(group({ type })), JSON.stringify(isValid.errors)).toBe(true);
  },
);

test.each(["p5", "h100", "p5.48XL", "p5.48xlarge ", 8])("an editor refuses the machine type %j", (type) => {
  expect(isValid(group({ type }))).toBe(false);
});

test("an editor still offers the types that Berth knows", () => {
  const [known] = schema.items.properties.type.anyOf;

  expect(known).toMatchObject({ enum: expect.arrayContaining(["p5.48xlarge", "g5.12xlarge"]) });
});
