import * as z from "zod";
import type { ExecResult } from "#core/environments/verbs/exec.ts";
import { wholeNumber } from "#http/query.ts";

const LONGEST_BYTES = 64 * 1024;
const isShort = (text: string) => new TextEncoder().encode(text).length <= LONGEST_BYTES;
const LONGEST_SECONDS = 3_600;
const USUAL_SECONDS = 120;

/** Text to be run, by the name of its field. */
function code(field: string) {
  return z.string().min(1).refine(isShort, `${field} is over ${LONGEST_BYTES} bytes`);
}

export const ExecuteSession = z.object({
  command: code("command").meta({ example: "python --version" }),
  timeout: z.int().min(1).max(LONGEST_SECONDS).default(USUAL_SECONDS),
});

/** In a query everything is text. */
const timeout = wholeNumber(1, LONGEST_SECONDS).default(USUAL_SECONDS);

export const ExecuteWorkspace = z.object({ command: code("command").meta({ example: "pwd" }), timeout });

export const RunPython = z.object({ code: code("code").meta({ example: 'print("Hello World")' }), timeout });

/** docs/apis/onmemos.md#command-results. */
export const CommandResult = z.object({
  stdout: z.string(),
  stderr: z.string(),
  returncode: z.int(),
  success: z.boolean(),
});

export const WorkspaceResult = CommandResult.extend({ workspace_id: z.string(), command: z.string() });

export function toCommandResult({ stdout, stderr, returncode }: ExecResult): z.infer<typeof CommandResult> {
  return { stdout, stderr, returncode, success: returncode === 0 };
}
