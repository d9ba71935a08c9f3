import type { IncomingMessage } from "node:http";

/** A host name below the domain of environments. */
export interface IngressHost {
  /** What stands before the domain, in lower case: perhaps several parts, perhaps nobody's. */
  readonly label: string;
  /** As it may be handed on: no character of it is the client's own choice but those of its label and its port. */
  readonly host: string;
}

/** Reads whom a request is for; undefined: not for an environment. `domain` is the setting, with or without a port. */
export function ingressHosts(domain: string): (incoming: IncomingMessage) => IngressHost | undefined {
  const name = domain.replace(/:\d+$/, "");
  return (incoming) => {
    const [, before, port = ""] = /^(.*?)\.?(:\d{0,5})?$/s.exec(getAuthority(incoming).toLowerCase()) ?? [];
    if (!before?.endsWith(`.${name}`)) return undefined;
    const label = before.slice(0, -name.length - 1);
    return { label, host: `${label}.${name}${port === ":" ? "" : port}` };
  };
}

/** The label of a claim: parts of host names (RFC 1123, 2.1) and nothing else. */
export function isLabel(label: string): boolean {
  return label.length <= 200 && /^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/.test(label);
}

/** What a request asks for at its host: path and query. */
export function getPath({ url = "/" }: IncomingMessage): string {
  const [, rest] = absolute.exec(url)?.slice(1) ?? [undefined, url];
  return rest?.startsWith("/") ? rest : `/${rest === "*" ? "" : (rest ?? "")}`;
}

const absolute = /^https?:\/\/([^/?#]*)(.*)$/is;

/** A target in absolute form goes before the header (RFC 9112, 3.2.2). */
function getAuthority({ url = "", headers }: IncomingMessage): string {
  const [, authority = ""] = absolute.exec(url) ?? [];
  return authority.slice(authority.lastIndexOf("@") + 1) || (headers.host ?? "");
}
