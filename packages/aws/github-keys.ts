import type { GithubKeys } from "#core/ports/identity.ts";
import { readConfig } from "./settings/config.ts";

export const githubKeys = (): GithubKeys => httpGithubKeys(readConfig(["GITHUB_KEYS_URL"]).GITHUB_KEYS_URL);

// docs/apis/gpu-dev.md#job-actions bounds the time and size of a fetch.
const PATIENCE_MS = 5_000;
/** Checks per minute for requests, because GitHub limits the address. Beyond it a request skips the check. */
const MOST_CHECKS = 20;
const CHECKS_MS = 60_000;
const maxAnswerBytes = 256 * 1024;
/** GitHub's rule for names, which excludes characters that end a path or begin a query. */
const nameForm = /^[a-zA-Z0-9](?:[a-zA-Z0-9]|-(?=[a-zA-Z0-9])){0,38}$/;

/** Fetches keys from the pattern with `<user>` replaced. Throws at the 21st call with a patience in a minute. */
export function httpGithubKeys(pattern: string, now: () => number = Date.now): GithubKeys {
  let checkedAt: readonly number[] = [];
  function countCheck(): void {
    const age = (at: number) => now() - at;
    const recent = checkedAt.filter((at) => age(at) >= 0 && age(at) < CHECKS_MS);
    if (recent.length >= MOST_CHECKS) throw new Error(`GitHub was asked ${MOST_CHECKS} times in a minute`);
    checkedAt = [...recent, now()];
  }
  return {
    async fetchKeys(user, patienceMs) {
      if (!nameForm.test(user)) throw new Error("That is not a GitHub user name");
      if (patienceMs !== undefined) countCheck();
      const signal = AbortSignal.timeout(patienceMs ?? PATIENCE_MS);
      const response = await fetch(pattern.replace("<user>", user), { redirect: "manual", signal });
      const text = await readText(response);
      if (response.status === 404) return undefined;
      if (response.status !== 200) throw new Error(`GitHub answered ${response.status}`);
      return text;
    },
  };
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw new Error("GitHub answered more than 256 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
