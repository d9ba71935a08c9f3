import type { Dialect, DialectName, Situation } from "#http/dialect.ts";
import { dialectOfPath } from "#http/dialects/of-path.ts";

/** What an error body at this path says, out of its dialect's envelope; of a list of bad fields the first one's. */
export function problemText(path: string, body: string): unknown {
  return readers[dialectOfPath(path).name](JSON.parse(body));
}

/** What the machinery says there in a situation, by the dialect's own table; of a body that is none, what a field says. */
export function situationText(
  method: string,
  path: string,
  situation: Situation,
  fieldText = "JSON decode error",
): string {
  const { name, texts }: Dialect = dialectOfPath(path);
  if (situation === "badJson" && name === "gpu-dev") return fieldText;
  return texts[situation].replace("{method}", method).replace("{path}", path);
}

/** Each envelope names all of its keys, so that one too few or too many shows. */
const readers: Readonly<Record<DialectName, (body: Envelope) => unknown>> = {
  "gpu-dev": ({ detail, ...rest }) => alone(Array.isArray(detail) ? detail[0].msg : detail, rest),
  "session-manager": ({ error, message: _, ...rest }) => alone(error, rest),
  onmemos: ({ detail, ...rest }) => alone(detail, rest),
  novita: ({ error: { code: _, message, details: __, timestamp, requestId, correlationId: ___, ...rest }, ...more }) =>
    alone(message, { ...rest, ...more, ...(timestamp && requestId ? {} : { incomplete: true }) }),
  dev8: ({ success, error: _, message, code, ...rest }) =>
    alone(message, success === false && /^ERR_\d{3}$/.test(code) ? rest : { success, code }),
};

type Envelope = ReturnType<typeof JSON.parse>;

function alone(text: unknown, rest: object): unknown {
  return Object.keys(rest).length === 0 ? text : { text, rest };
}
