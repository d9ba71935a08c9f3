import type { GithubKeys } from "#core/ports/identity.ts";

export interface MemoryGithubKeys extends GithubKeys {
  /** Sets GitHub's answer for this user. An error is thrown; undefined means an unknown user. */
  publish(user: string, keys: string | Error | undefined): void;
  /** Returns the number of requests. */
  asked(): number;
}

/** GithubKeys in memory, which knows only published users. */
export function memoryGithubKeys(): MemoryGithubKeys {
  const published = new Map<string, string | Error | undefined>();
  let input = 0;
  return {
    fetchKeys: async (user) => {
      input += 1;
      const answer = published.get(user);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    publish: (user, keys) => {
      published.set(user, keys);
    },
    asked: () => input,
  };
}
