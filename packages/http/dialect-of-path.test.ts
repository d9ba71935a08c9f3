import { expect, test } from "vitest";
import { dialectOfPath } from "./app.ts";

test.each([
  ["/session", "session-manager"],
  ["/session/create", "session-manager"],
  ["/sessions", "session-manager"],
  ["/sessions/x", "gpu-dev"],
  ["/sessionx", "gpu-dev"],
  ["/v1/sessions", "onmemos"],
  ["/v1/sessions/a/execute", "onmemos"],
  ["/v1/sessionsx", "gpu-dev"],
  ["/v1/cloudrun/workspaces", "onmemos"],
  ["/v1/cloudrun", "gpu-dev"],
  ["/v1/jobs", "gpu-dev"],
  ["/api/v1/environments", "dev8"],
  ["/api/v1", "novita"],
  ["/api/v1x/y", "novita"],
  ["/api/instances", "novita"],
  ["/api", "gpu-dev"],
  ["/apix", "gpu-dev"],
  ["/", "gpu-dev"],
  ["//v1/sessions", "gpu-dev"],
])("%s is answered by %s", (path, name) => {
  expect(dialectOfPath(path).name).toBe(name);
});
