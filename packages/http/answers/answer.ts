const mark = Symbol("answer");

export interface AnswerOptions {
  readonly status?: number;
  /** A content type other than JSON. The body must then be text or bytes, and is sent unchanged. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly stream?: AsyncGenerator<Uint8Array> | undefined;
}

export interface Answer<Body> extends AnswerOptions {
  readonly [mark]: true;
  readonly body: Body;
}

/** Returns a reply with another status, content type or further headers. The body still passes the reply's schema. */
export function answer<Body>(body: Body, options: AnswerOptions): Answer<Body> {
  return { ...options, [mark]: true, body };
}

/** Streams an answer until the generator ends or the client disconnects. */
export function streamed(stream: AsyncGenerator<Uint8Array>, options: Omit<AnswerOptions, "stream">): Answer<string> {
  return answer("", { ...options, stream });
}

export function isAnswer(result: unknown): result is Answer<unknown> {
  return typeof result === "object" && result !== null && mark in result;
}
