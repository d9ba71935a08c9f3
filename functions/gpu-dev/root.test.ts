import { expect, test } from "vitest";
import { buildApp } from "#http/app.ts";
import { fixtureRuntime } from "#testing/fixture-endpoints.ts";
import { endpoint } from "./root.ts";

test("the root says exactly what the document prints", async () => {
  const response = await buildApp(await fixtureRuntime(), [endpoint]).request("/");

  expect(response.status).toBe(200);
  expect(await response.text()).toBe(
    '{"service":"GPU Dev API","version":"1.0.0","docs":"/docs","health":"/health","auth":{"aws_login":"/v1/auth/aws-login","description":"Use AWS credentials to obtain an API key"},"endpoints":{"jobs":"/v1/jobs","disks":"/v1/disks","gpu_availability":"/v1/gpu/availability","cluster_status":"/v1/cluster/status"}}',
  );
});
