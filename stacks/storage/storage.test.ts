import { expect, test } from "vitest";
import { checkedSecret } from "./storage.ts";

const [newer, older] = ["n".repeat(32), "o".repeat(64)];

test.each([
  ["OriginSecrets", `${newer},`],
  ["OriginSecrets", `${newer},short`],
  ["OriginSecrets", `${newer};${older}`],
  ["OriginSecrets", ""],
  ["WebhookSecret", "short"],
  ["WebhookSecret", "whsec_not base64"],
  ["WebhookSecret", ""],
] as const)("%s is refused as %j without its value, as functions would refuse it", (name, value) => {
  const refused = () => checkedSecret(name, value);

  expect(refused).toThrow(`The secret ${name} cannot be deployed:\n  `);
  if (value !== "") expect(refused).not.toThrow(value);
});

test("two origin secrets are accepted during a rotation, and any long webhook secret", () => {
  expect(checkedSecret("OriginSecrets", `${newer},${older}`)).toBe(`${newer},${older}`);
  expect(checkedSecret("WebhookSecret", newer)).toBe(newer);
});
