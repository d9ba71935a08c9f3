/** Calls back once a call has been under way for too long for others to wait for it; answers how to call that off. */
export type SlowCallHook = (callBack: () => void) => () => void;

export interface AskTogetherOptions {
  /** So many questions one call takes; undefined: all that there are. */
  readonly mostQuestions?: number;
  readonly whenSlow?: SlowCallHook | undefined;
}

/** A list waits 100 ms for what others wrote meanwhile, and is seldom later than that by much (./read-run.ts). */
const slowMs = 500;
/** An API server that is slow under load is not asked for more at once than this, by each kind of list. */
const mostCalls = 3;

/**
 * Answers many questions by few calls. What is asked while a call is under way waits for the next one, and is then asked
 * together: nobody must read an answer that is older than the question. A call that is slow may never be answered: the
 * next one begins beside it, up to three in all. `call` is given the questions and answers with what tells the answer to
 * each; where it throws, each of its questions does.
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
