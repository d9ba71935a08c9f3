import type { Compute, PortAnswer, PortRequest } from "#core/ports/compute.ts";
import { RunGone } from "#core/problem.ts";

/** Post that reached a run. */
export interface Post {
  readonly uid: string;
  readonly run: number;
  readonly request: PortRequest;
}

/** Answer of a run. A thrown error means that nothing answers. */
export type Responder = (post: Post) => PortAnswer | Promise<PortAnswer>;

export interface MemoryPosts extends Pick<Compute, "postToPort"> {
  /** Sets the later answers of the uid's runs. */
  answerPosts(uid: string, responder: Responder): void;
  /** Returns the posts that reached the uid's runs, in order. */
  posts(uid: string): readonly Post[];
}

/** Posts to ports of runs in memory. By default, a run echoes the post. */
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
