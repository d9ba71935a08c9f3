const mark = Symbol("answer");

export interface AnswerOptions {
  readonly status?: number;
  /** A content type other than JSON. The body must then be text or bytes, and is sent unchanged. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
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

export function isAnswer(result: unknown): result is Answer<unknown> {
  return typeof result === "object" && result !== null && mark in result;
}
