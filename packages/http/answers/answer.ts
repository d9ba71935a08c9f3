const mark = Symbol("answer");

export interface AnswerOptions {
  readonly status?: number;
  /** A content type other than JSON. The body must then be text or bytes, and is sent unchanged. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is sent piece by piece in place of the body, where the deployment streams. */
  readonly stream?: AsyncGenerator<Uint8Array> | undefined;
}

/** A reply with another status, content type or further headers. */
export interface Answer<Body> extends AnswerOptions {
  readonly [mark]: true;
  readonly body: Body;
}

/** What a verb returns where the plain reply is not enough. The body still goes through the reply's schema. */
export function answer<Body>(body: Body, options: AnswerOptions): Answer<Body> {
  return { ...options, [mark]: true, body };
}

/** Answers bytes that come piece by piece, until the generator ends or the client leaves. */
export function streamed(stream: AsyncGenerator<Uint8Array>, options: Omit<AnswerOptions, "stream">): Answer<string> {
  return answer("", { ...options, stream });
}

export function isAnswer(result: unknown): result is Answer<unknown> {
  return typeof result === "object" && result !== null && mark in result;
}
