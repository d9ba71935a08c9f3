import type { IncomingMessage } from "node:http";

export interface IngressHost {
  /** The part before the domain, in lower case. It may have several parts and may match no environment. */
  readonly label: string;
  readonly host: string;
}

export function ingressHosts(domain: string): (incoming: IncomingMessage) => IngressHost | undefined {
  const name = domain.replace(/:\d+$/, "");
  return (incoming) => {
    const [, before, port = ""] = /^(.*?)\.?(:\d{0,5})?$/s.exec(getAuthority(incoming).toLowerCase()) ?? [];
    if (!before?.endsWith(`.${name}`)) return undefined;
    const label = before.slice(0, -name.length - 1);
    return { label, host: `${label}.${name}${port === ":" ? "" : port}` };
  };
}

/** Reports whether the label of a claim holds only valid parts of host names (RFC 1123, 2.1). */
export function isLabel(label: string): boolean {
  return label.length <= 200 && /^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/.test(label);
}

export function getPath({ url = "/" }: IncomingMessage): string {
  const [, rest] = absolute.exec(url)?.slice(1) ?? [undefined, url];
  return rest?.startsWith("/") ? rest : `/${rest === "*" ? "" : (rest ?? "")}`;
}

const absolute = /^https?:\/\/([^/?#]*)(.*)$/is;

/** A target in absolute form overrides the Host header (RFC 9112, 3.2.2). */
function getAuthority({ url = "", headers }: IncomingMessage): string {
  const [, authority = ""] = absolute.exec(url) ?? [];
  return authority.slice(authority.lastIndexOf("@") + 1) || (headers.host ?? "");
}
