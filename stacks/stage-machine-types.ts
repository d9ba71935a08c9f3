import { parseArgs } from "node:util";
import { readStageFiles } from "./stage-files.ts";

/**
 * The first import of each program that takes `--stage`. packages/core/fleet.ts reads MACHINE_TYPES from the environment
 * when it is loaded, and the stage's files may set it. SST does the same.
 */
const { stage } = parseArgs({ options: { stage: { type: "string" } }, strict: false }).values;
const { MACHINE_TYPES } = typeof stage === "string" ? readStageFiles(stage) : {};
if (MACHINE_TYPES !== undefined) process.env.MACHINE_TYPES = MACHINE_TYPES;
