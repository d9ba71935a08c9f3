import { expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { podSettingNames, toPodSettings } from "./pod-settings.ts";

const read = (environment: Readonly<Record<string, string>>) => toPodSettings(readConfig(podSettingNames, environment));

it("leaves pods as they are without any setting", () => {
  expect(read({})).toEqual({ cpuLimit: "share" });
});

it.each([["POD_CPU_LIMIT", "2", "must be share or none"]])("refuses %s=%s with its rule", (name, value, rule) => {
  expect(() => read({ [name]: value })).toThrow(`Bad settings:\n  ${name} ${rule}`);
});
