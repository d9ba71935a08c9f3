import type { AnswerHeaders, Fetch, FetchedAnswer } from "../../sdk/transport.ts";

/** A view reads a handful of addresses. Lists of many pages, and addresses that change, must not fill the memory. */
const mostAnswers = 100;

interface RememberedAnswer {
  readonly etag: string;
  readonly body: string;
  readonly headers: AnswerHeaders;
}

/**
 * Returns a `fetch` for the SDK that reads the same addresses again and again. It sends the `ETag` of the last answer
 * (RFC 9110 section 13.1.2), so an unchanged answer is a 304 without a body, and the body comes from memory.
 */
export function rememberAnswers(send: Fetch): Fetch {
  const answers = new Map<string, RememberedAnswer>();
  const remember = (url: string, answer: RememberedAnswer) => {
    answers.delete(url);
    answers.set(url, answer);
    const [oldest] = answers.keys();
    if (answers.size > mostAnswers && oldest !== undefined) answers.delete(oldest);
  };
  return async (input, init) => {
    if (init.method !== "GET") return send(input, init);
    const url = String(input);
    const knownAnswer = answers.get(url);
    const etags = knownAnswer && { "if-none-match": knownAnswer.etag };
    const response = await send(input, { ...init, headers: { ...init.headers, ...etags } });
    if (knownAnswer && response.status === 304) {
      remember(url, knownAnswer);
      return answerFrom(knownAnswer);
    }
    const etag = response.headers.get("etag");
    if (response.status !== 200 || etag === null) return response;
    const answer = { etag, body: await response.text(), headers: response.headers };
    remember(url, answer);
    return answerFrom(answer);
  };
}

function answerFrom({ body, headers }: RememberedAnswer): FetchedAnswer {
  return { ok: true, status: 200, headers, text: async () => body };
}
