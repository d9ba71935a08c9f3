import type { Compute, PortAnswer, PortRequest } from "#core/ports/compute.ts";
import { RunGone } from "#core/problem.ts";

/** One post that reached a run. */
export interface Post {
  readonly uid: string;
  readonly run: number;
  readonly request: PortRequest;
}

/** What a run answers; what it throws is how nobody answering shows. */
export type Responder = (post: Post) => PortAnswer | Promise<PortAnswer>;

export interface MemoryPosts extends Pick<Compute, "postToPort"> {
  /** Decides what runs of this uid answer from now on. */
  answerPosts(uid: string, responder: Responder): void;
  /** Everything that reached runs of this uid, in order. */
  posts(uid: string): readonly Post[];
}

/** Posts to ports of runs in memory: a run says back what it was told, unless it was given other answers. */
export function memoryPosts(
  findState: (uid: string, run: number) => { ports: readonly number[] } | undefined,
): MemoryPosts {
  const responders = new Map<string, Responder>();
  const seen: Post[] = [];
  return {
    async postToPort(uid, run, request) {
      const found = findState(uid, run);
      if (!found) throw new RunGone();
      if (!found.ports.includes(request.port)) throw new Error(`Nothing listens on port ${request.port}`);
      const post = { uid, run, request };
      seen.push(post);
      return (responders.get(uid) ?? sayBack)(post);
    },
    answerPosts: (uid, responder) => {
      responders.set(uid, responder);
    },
    posts: (uid) => seen.filter((post) => post.uid === uid),
  };
}

function sayBack({ request }: Post): PortAnswer {
  const { message } = JSON.parse(request.body) as { readonly message?: unknown };
  return { status: 200, body: JSON.stringify({ reply: message }) };
}
