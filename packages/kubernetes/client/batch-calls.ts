/** Calls back when a call has become too slow for others to wait for it. Returns a function that cancels this. */
export type SlowCallHook = (callBack: () => void) => () => void;

export interface AskTogetherOptions {
  /** No limit if undefined. */
  readonly mostQuestions?: number;
  readonly whenSlow?: SlowCallHook | undefined;
}

/** Time after which a call counts as slow. A list takes at least 100 ms (../runs/read-run.ts). */
const slowMs = 500;
/** Maximum concurrent calls of one kind, to spare an API server under load. */
const mostCalls = 3;

/**
 * Batches requests into few calls. A request waits for the next call, so no answer is older than its request. After
 * a slow call, which may never return, the next one starts beside it. `call` returns a function that finds each answer.
 * If it throws, all its requests fail.
 */
export function batchCalls<Question, Answer>(
  call: (questions: readonly Question[]) => Promise<(question: Question) => Answer>,
  { mostQuestions = Number.POSITIVE_INFINITY, whenSlow = afterSlowMs }: AskTogetherOptions = {},
): (question: Question) => Promise<Answer> {
  const open: PendingCall<Question, Answer>[] = [];
  const underWay = new Set<Promise<void>>();
  const awaited = new Set<Promise<void>>();
  const begin = () => {
    if (open.length === 0 || awaited.size > 0 || underWay.size === mostCalls) return;
    const answering = answerAll(open.splice(0, mostQuestions));
    underWay.add(answering);
    awaited.add(answering);
    const callOff = whenSlow(() => {
      awaited.delete(answering);
      begin();
    });
    void answering.then(() => {
      callOff();
      awaited.delete(answering);
      underWay.delete(answering);
      begin();
    });
  };
  const answerAll = async (calls: readonly PendingCall<Question, Answer>[]) => {
    try {
      const answerTo = await call(calls.map(({ question }) => question));
      for (const { question, answer } of calls) answer.resolve(answerTo(question));
    } catch (error) {
      for (const { answer } of calls) answer.reject(error);
    }
  };
  return (question) => {
    const answer = Promise.withResolvers<Answer>();
    open.push({ question, answer });
    begin();
    return answer.promise;
  };
}

interface PendingCall<Question, Answer> {
  readonly question: Question;
  readonly answer: PromiseWithResolvers<Answer>;
}

function afterSlowMs(callBack: () => void): () => void {
  const timer = setTimeout(callBack, slowMs);
  return () => clearTimeout(timer);
}
