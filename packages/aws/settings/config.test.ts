import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";
import { allSettingSchemas } from "./pod-setting-schemas.ts";
import { readSettings } from "./settings.ts";

describe("the configuration", () => {
  it("has defaults for everything but the addresses of a deployment", () => {
    const settings = readSettings({});

    expect(settings).toMatchObject({
      allowedRoles: ["SSOCloudDevGpuReservation"],
      allowedAccounts: [],
      keyTtlHours: 2,
      loginServerId: "berth-local",
      minDurationHours: 0.083,
      maxDurationHours: 72,
      maxTotalHours: 168,
      maxQueueHours: 48,
      preparingMinutes: 30,
      sweepSeconds: 60,
      messagePath: "/chat",
    });
    expect(settings.stsOrigins).toContain("https://sts.eu-central-1.amazonaws.com");
    expect(() => readConfig(["WORK_QUEUE_URL"], {})).toThrow("WORK_QUEUE_URL must be the URL of a queue");
  });

  it("reads lists, numbers and texts, and treats an empty variable as absent", () => {
    const environment = {
      ALLOWED_ACCOUNTS: "111111111111, 222222222222",
      MIN_DURATION_HOURS: "0.001",
      KEY_TTL_HOURS: "",
    };

    const settings = readSettings(environment);

    expect(settings.allowedAccounts).toEqual(["111111111111", "222222222222"]);
    expect(settings.minDurationHours).toBe(0.001);
    expect(settings.keyTtlHours).toBe(2);
  });

  it.each([
    ["KEY_TTL_HOURS", "0"],
    ["KEY_TTL_HOURS", "1.5"],
    ["KEY_TTL_HOURS", "169"],
    ["KEY_TTL_HOURS", "0x10"],
    ["SWEEP_SECONDS", "61"],
    ["MIN_DURATION_HOURS", "-1"],
    ["MIN_DURATION_HOURS", "1e3"],
    ["ALLOWED_ACCOUNTS", "123"],
    ["ALLOWED_ACCOUNTS", "111111111111,"],
    ["ALLOWED_ROLES", "a b"],
    ["STS_ORIGINS", "http://sts.amazonaws.com"],
    ["STS_ORIGINS", "https://sts.amazonaws.com:8443"],
    ["STS_ORIGINS", "https://sts.amazonaws.com/"],
    ["LOGIN_SERVER_ID", "a b"],
    ["SESSION_IMAGE", "docker://codercom/code-server"],
    ["SESSION_IMAGE", "x".repeat(513)],
    ["DEV8_IMAGE", "dev8/<Base>"],
    ["DEV8_IMAGE", "dev8/ide:<base>:1"],
  ])("refuses %s=%s", (name, value) => {
    expect(() => readSettings({ [name]: value })).toThrow(`Bad settings:\n  ${name} must be`);
  });

  it("accepts the base of a dev8 workspace anywhere in the image name", () => {
    for (const DEV8_IMAGE of ["registry.test:5000/dev8/<base>:1", "dev8/ide:<base>", "<base>"]) {
      expect(readSettings({ DEV8_IMAGE }).workspaceImage).toBe(DEV8_IMAGE);
    }
  });

  it("names every bad setting at once, and never a value", () => {
    const read = () => readSettings({ KEY_TTL_HOURS: "soon", SWEEP_SECONDS: "often" });

    expect(read).toThrow(/KEY_TTL_HOURS[\s\S]*SWEEP_SECONDS/);
    expect(read).not.toThrow(/soon|often/);
  });

  it("ignores a slash at the end of an AWS endpoint", () => {
    const settings = readConfig(["AWS_ENDPOINT_URL_S3"], { AWS_ENDPOINT_URL_S3: "http://127.0.0.1:4566/" });

    expect(settings).toEqual({ AWS_ENDPOINT_URL_S3: "http://127.0.0.1:4566" });
  });

  it("has no default on Lambda for the name of a resource or an identity", () => {
    const deployed = { AWS_LAMBDA_FUNCTION_NAME: "berth-me" };

    expect(() => readSettings(deployed)).toThrow(
      "Bad settings:\n  ALLOWED_ROLES must be set\n  ALLOWED_ACCOUNTS must be set\n  LOGIN_SERVER_ID must be set\n  DOMAIN must be set",
    );
    expect(() => readConfig(["TABLE_NAME"], deployed)).toThrow("Bad settings:\n  TABLE_NAME must be set");
    expect(readConfig(["TABLE_NAME"], { ...deployed, TABLE_NAME: "stage" })).toEqual({ TABLE_NAME: "stage" });
  });

  it("refuses to read a setting that a function on Lambda does not receive", () => {
    const deployed = { AWS_LAMBDA_FUNCTION_NAME: "berth-me", SETTINGS: "NODE_GROUPS,MAX_QUEUE_HOURS" };

    const settings = readSettings({ ...deployed, MAX_QUEUE_HOURS: "7" });

    expect([settings.nodeGroups, settings.maxQueueHours, settings.messagePath]).toEqual([[], 7, "/chat"]);
    expect(() => settings.allowedRoles).toThrow("ALLOWED_ROLES is not passed to this function");
    expect(() => readConfig(["TOOLS_IMAGE"], deployed)).toThrow("TOOLS_IMAGE is not passed to this function");
  });

  it("names missing settings on Lambda among those that a function receives", () => {
    const deployed = { AWS_LAMBDA_FUNCTION_NAME: "berth-me", SETTINGS: "DOMAIN,NODE_GROUPS" };

    expect(() => readSettings(deployed)).toThrow("Bad settings:\n  DOMAIN must be set");
  });

  it("ignores a variable named SETTINGS outside Lambda", () => {
    expect(readSettings({ SETTINGS: "DOMAIN" }).maxQueueHours).toBe(48);
  });

  it("refuses on Lambda a command limit beyond the edge's timeout", () => {
    const lambda = { AWS_LAMBDA_FUNCTION_NAME: "berth-me" };
    const read = (seconds: string, more = {}) =>
      readConfig(["EXEC_CAP_SECONDS"], { EXEC_CAP_SECONDS: seconds, ...more });

    expect(() => read("116", lambda)).toThrow("Bad settings:\n  EXEC_CAP_SECONDS must be at most 115 on Lambda");
    expect(() => read("170", lambda)).toThrow("EXEC_CAP_SECONDS");
    expect([read("115", lambda), read("170")]).toEqual([{ EXEC_CAP_SECONDS: 115 }, { EXEC_CAP_SECONDS: 170 }]);
  });

  it("reads only the requested settings", () => {
    expect(readConfig(["TABLE_NAME"], { KEY_TTL_HOURS: "bad" })).toEqual({ TABLE_NAME: "berth" });
  });
});

describe(".env.example", () => {
  const lines = readFileSync(new URL("../../../.env.example", import.meta.url), "utf8").split("\n");
  const example = new Map(
    lines.flatMap((line, at) => {
      const [, name = "", value = ""] = /^#?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
      return name ? [[name, { value, meaning: lines[at - 1] ?? "" }]] : [];
    }),
  );

  it("lists exactly the existing settings, each with its meaning", () => {
    expect([...example.keys()].sort()).toEqual(Object.keys(allSettingSchemas).sort());
    expect([...example.values()].every(({ meaning }) => /^# \S/.test(meaning))).toBe(true);
  });

  it("gives the actual defaults", () => {
    const input = Object.fromEntries([...example].map(([name, { value }]) => [name, value]));
    const names = ["TABLE_NAME", "AWS_REGION", "PORT", "BERTH_HOME", "LOCAL_NODES"] as const;

    expect(readSettings(input)).toEqual(readSettings({}));
    expect(readConfig(names, input)).toEqual(readConfig(names, {}));
  });
});
