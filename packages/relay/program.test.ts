import { fileURLToPath } from "node:url";
import { describe } from "vitest";
import { relayConformance } from "#tests/conformance/relay.ts";

describe("the relay of a sandbox", () => {
  relayConformance([process.execPath, fileURLToPath(new URL("program.ts", import.meta.url))]);
});
