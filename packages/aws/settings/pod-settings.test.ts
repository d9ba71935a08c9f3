import { expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { podSettingNames, toPodSettings } from "./pod-settings.ts";

const read = (environment: Readonly<Record<string, string>>) => toPodSettings(readConfig(podSettingNames, environment));

it("leaves pods as they are without any setting", () => {
  expect(read({})).toEqual({ cpuLimit: "share", graceSeconds: 10 });
});

it.each([
  ["POD_CPU_LIMIT", "2", "must be share or none"],
  ["POD_GRACE_SECONDS", "0", "must be a whole number from 1 to 600"],
  ["POD_GRACE_SECONDS", "601", "must be a whole number from 1 to 600"],
])("refuses %s=%s with its rule", (name, value, rule) => {
  expect(() => read({ [name]: value })).toThrow(`Bad settings:\n  ${name} ${rule}`);
});
