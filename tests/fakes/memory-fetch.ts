import type { Fetch, FetchAnswer, FetchRequest } from "#core/ports/fetch.ts";
import { AddressRefused } from "#core/problem.ts";

export interface MemoryFetch extends Fetch {
  /** What was posted, in order. */
  readonly posts: FetchRequest[];
  /** How a URL answers; 200 unless said. An error is thrown. */
  answer(url: string, how: (request: FetchRequest) => FetchAnswer | Error): void;
}

/** Receivers in memory: names that begin with `private` stand for addresses that are not to be dialled. */
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
