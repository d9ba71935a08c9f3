import type { GithubKeys } from "#core/ports/identity.ts";

export interface MemoryGithubKeys extends GithubKeys {
  /** What GitHub answers for this user from now on; an error is thrown, and undefined is an unknown user. */
  publish(user: string, keys: string | Error | undefined): void;
  /** How often somebody asked. */
  asked(): number;
}

/** The GithubKeys port in memory: it knows who was published and nobody else. */
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
