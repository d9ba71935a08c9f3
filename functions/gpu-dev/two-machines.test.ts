import { describe } from "vitest";
import { twoMachineCases } from "#testing/conformance/two-machines.ts";
import { memoryTable } from "#testing/memory-table.ts";

describe("on the table in memory", () => twoMachineCases(async () => memoryTable()));
