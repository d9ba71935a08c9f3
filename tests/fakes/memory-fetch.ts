import type { Fetch, FetchAnswer, FetchRequest } from "#core/ports/fetch.ts";
import { AddressRefused } from "#core/problem.ts";

export interface MemoryFetch extends Fetch {
  /** Posts in order. */
  readonly posts: FetchRequest[];
  /** Sets the answers of a URL, by default 200. An error is thrown. */
  answer(url: string, how: (request: FetchRequest) => FetchAnswer | Error): void;
}

/** Receivers in memory. Names that begin with `private` stand for forbidden addresses. */
export function memoryFetch(): MemoryFetch {
  const posts: FetchRequest[] = [];
  const answers = new Map<string, (request: FetchRequest) => FetchAnswer | Error>();
  const isPrivate = (url: string) => new URL(url).hostname.startsWith("private");
  return {
    posts,
    answer(url, how) {
      answers.set(url, how);
    },
    authorize: async (url) => (isPrivate(url) ? "private" : "allowed"),
    async post(request) {
      if (isPrivate(request.url)) throw new AddressRefused();
      posts.push(request);
      const answer = answers.get(request.url)?.(request) ?? { status: 200, retryAfterMs: null };
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
}
