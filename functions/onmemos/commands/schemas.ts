import * as z from "zod";
import type { ExecResult } from "#core/environments/verbs/exec.ts";
import { wholeNumber } from "#http/request/query.ts";

const LONGEST_BYTES = 64 * 1024;
const isShort = (text: string) => new TextEncoder().encode(text).length <= LONGEST_BYTES;
const LONGEST_SECONDS = 3_600;
const USUAL_SECONDS = 120;

function code(field: string) {
  return z.string().min(1).refine(isShort, `${field} is over ${LONGEST_BYTES} bytes`);
}

export const ExecuteSession = z
  .object({
    command: code("command").meta({ example: "python --version" }).describe("A shell command, at most 64 KiB."),
    timeout: z
      .int()
      .min(1)
      .max(LONGEST_SECONDS)
      .default(USUAL_SECONDS)
      .describe("Time limit of the command in seconds."),
  })
  .meta({ id: "ExecuteCommand" });

const timeout = wholeNumber(1, LONGEST_SECONDS).default(USUAL_SECONDS);

export const ExecuteWorkspace = z.object({
  command: code("command").meta({ example: "pwd" }).describe("A shell command, at most 64 KiB."),
  timeout: timeout.describe("Time limit of the command in seconds."),
});

export const RunPython = z.object({
  code: code("code").meta({ example: 'print("Hello World")' }).describe("A Python program, at most 64 KiB."),
  timeout: timeout.describe("Time limit of the command in seconds."),
});

/** docs/apis/onmemos.md#command-results. */
export const CommandResult = z
  .object({
    stdout: z.string().describe("Standard output of the command, at most 1 MiB."),
    stderr: z.string().describe("Standard error of the command, at most 1 MiB."),
    returncode: z.int().describe("Exit code of the command; 124 after the time limit, 128 + n after signal n."),
    success: z.boolean().describe("Whether `returncode` is 0. A failed command is still a successful request."),
  })
  .meta({ id: "CommandResult" });

export const WorkspaceResult = CommandResult.extend({
  workspace_id: z.string().describe("The workspace's id."),
  command: z.string().describe("The command that ran."),
}).meta({ id: "WorkspaceResult" });

export function toCommandResult({ stdout, stderr, returncode }: ExecResult): z.infer<typeof CommandResult> {
  return { stdout, stderr, returncode, success: returncode === 0 };
}

export function exampleResult(command: string, stdout: string) {
  const result = {
    stdout,
    stderr: "",
    returncode: 0,
    success: true,
    workspace_id: "ws-my-project-developer-1756062811",
    command,
  };
  return { "It went well": result };
}
