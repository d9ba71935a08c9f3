import type { GithubKeys } from "#core/ports/github-keys.ts";
import { readConfig } from "./config.ts";

/** Of the address that GITHUB_KEYS_URL names. */
export const githubKeys = (): GithubKeys => httpGithubKeys(readConfig(["GITHUB_KEYS_URL"]).GITHUB_KEYS_URL);

// docs/apis/gpu-dev.md#job-actions needs a bound: nobody waits longer, nobody is sent more.
const PATIENCE_MS = 5_000;
const maxAnswerBytes = 256 * 1024;
/** GitHub's own rule for names: nothing in it can end a path or begin a query. */
const nameForm = /^[a-zA-Z0-9](?:[a-zA-Z0-9]|-(?=[a-zA-Z0-9])){0,38}$/;

/** Asks the address that the pattern gives with `<user>` replaced. Redirects are not followed. */
export function httpGithubKeys(pattern: string): GithubKeys {
  return {
    async keysOf(user, patienceMs = PATIENCE_MS) {
      if (!nameForm.test(user)) throw new Error("Not a GitHub user name");
      const signal = AbortSignal.timeout(patienceMs);
      const response = await fetch(pattern.replace("<user>", user), { redirect: "manual", signal });
      const text = await textOf(response);
      if (response.status === 404) return undefined;
      if (response.status !== 200) throw new Error(`GitHub answered ${response.status}`);
      return text;
    },
  };
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw new Error("GitHub answered more than 256 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
