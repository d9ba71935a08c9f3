/**
 * The parts of a request that Berth reads. A Lambda event provides them without the platform's Request, which loads
 * undici: a quarter of a function's init.
 */
export interface PlainRequest extends Pick<Request, "method" | "url" | "body" | "arrayBuffer"> {
  readonly headers: PlainHeaders;
}

export type PlainHeaders = Pick<Headers, "get" | "has">;

export interface PlainResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly stream?: AsyncGenerator<Uint8Array> | undefined;
}

export function toResponse({ body, status, headers, stream }: PlainResponse): Response {
  if (stream) return new Response(ReadableStream.from(stream), { status, headers });
  // Fetch standard: a null body status takes no body, not even an empty one.
  return new Response(status === 304 ? null : body, { status, headers });
}

export function formatBody({ body }: PlainResponse): string {
  return typeof body === "string" ? body : Buffer.from(body).toString("utf8");
}
