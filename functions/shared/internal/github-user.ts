import type { Context } from "#core/context.ts";
import { usableKeys } from "#core/environments/access/ssh-keys.ts";
import { HttpError } from "#http/answers/http-error.ts";

const PATIENCE_MS = 1_500;

interface GithubUser {
  readonly name: string | undefined;
  readonly path: readonly string[];
  readonly needsKeys: boolean;
}

/**
 * Refuses an unknown GitHub user. During an outage of GitHub the request passes, and the worker retries
 * (docs/apis/gpu-dev.md#job-actions).
 */
export async function checkGithubUser(
  ctx: Context<"githubKeys">,
  { name, path, needsKeys }: GithubUser,
): Promise<void> {
  if (!name) return;
  const answer = await ask(ctx, name);
  if (answer === "no answer") return;
  if (answer === undefined) throw refused(name, path, `GitHub user '${name}' not found`);
  if (needsKeys && usableKeys(answer).length === 0) {
    throw refused(name, path, `No SSH keys found for GitHub user '${name}'`);
  }
}

async function ask(ctx: Context<"githubKeys">, name: string): Promise<string | undefined | "no answer"> {
  try {
    return await ctx.githubKeys.fetchKeys(name, PATIENCE_MS);
  } catch (error) {
    ctx.log.warn("github keys not fetched", { user: name, error: String(error) });
    return "no answer";
  }
}

function refused(input: string, path: readonly string[], message: string): HttpError {
  const field = { type: "value_error", path: ["body", ...path], message, input, isOwn: true };
  return new HttpError("badFields", { fields: [field] });
}
