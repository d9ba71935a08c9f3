import { expect, test } from "vitest";
import { ApiRefused } from "../client/api-error.ts";
import { refuseForeign } from "./apply.ts";
import { describeApplyError } from "./plan-lines.ts";

test.each([400, 403])("words of a server with the status %i add no line to an error", (status) => {
  const said = "denied\nApplied.";

  const line = describeApplyError(new ApiRefused("PATCH /x", status, { message: said }));

  expect(line).toContain("denied Applied.");
  expect(line).not.toContain("\n");
});

test("the name of another deployment adds no line to a refusal", () => {
  const labels = { "berth/deployment": "berth-dev" };
  const manifest = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "berth-gateway", labels } };

  expect(() => refuseForeign([{ action: "foreign", manifest, owner: "berth-a\nApplied." }])).toThrow(
    "These objects are of berth-a Applied., and",
  );
});
