import { expect, test } from "vitest";
import { clientOptions } from "./client-options.ts";

test("a client waits long enough for the first connection of a small Lambda", () => {
  const { connectionTimeout, requestTimeout } = clientOptions(undefined).requestHandler;

  expect(connectionTimeout).toBeGreaterThanOrEqual(3_000);
  expect(requestTimeout).toBeGreaterThanOrEqual(connectionTimeout);
});
