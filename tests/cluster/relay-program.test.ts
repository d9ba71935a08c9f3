import { join } from "node:path";
import { describe } from "vitest";
import { toolsPath } from "../../scripts/images/tools-programs.ts";
import { relayConformance } from "../conformance/relay.ts";

const programs = await toolsPath(process.env);

describe("the relay of the tools image", () => {
  relayConformance([join(programs, "relay")]);
});
