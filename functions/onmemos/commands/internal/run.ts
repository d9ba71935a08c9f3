import type { UserContext } from "#core/context.ts";
import { type ExecRequest, type ExecResult, executeIn } from "#core/environments/verbs/exec.ts";
import { Problem } from "#core/problem.ts";
import { HOME } from "../../../socket/schemas.ts";
import { type Called, getSession, notFound, toStatus } from "../../sessions/schemas.ts";

type Command = Pick<ExecRequest, "words" | "stdin" | "timeoutSeconds">;

/** Returns a command that runs a text in a shell. The text is one argument, even if it begins with `-`. */
export function shellCommand(text: string, timeoutSeconds: number): Command {
  return { words: ["/bin/sh", "-c", "--", text], timeoutSeconds };
}

/** Passes a Python program on stdin: it may hold anything, and no process list shows it. */
export function pythonProgram(code: string, timeoutSeconds: number): Command {
  return { words: ["python", "-"], stdin: code, timeoutSeconds };
}

export async function runIn(
  ctx: UserContext<"table" | "queue" | "compute">,
  { id, called }: { readonly id: string; readonly called: Called },
  command: Command,
): Promise<ExecResult> {
  const session = await getSession(ctx, id, called);
  if (toStatus(session) === "failed") {
    throw new Problem("failed", `Session failed to start: ${session.end.outcome?.reason ?? "no reason was given"}`);
  }
  try {
    return await executeIn({ ...ctx, noun: "session" }, id, { ...command, directory: HOME });
  } catch (error) {
    throw error instanceof Problem && error.kind === "notFound" ? notFound(called, error) : error;
  }
}
