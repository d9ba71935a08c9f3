import { expect, test } from "vitest";
import { clientOptions } from "./client-options.ts";

test("a client waits for a connection as long as a small Lambda needs for its first one", () => {
  const { connectionTimeout, requestTimeout } = clientOptions(undefined).requestHandler;

  expect(connectionTimeout).toBeGreaterThanOrEqual(3_000);
  expect(requestTimeout).toBeGreaterThanOrEqual(connectionTimeout);
});
