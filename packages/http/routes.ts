import type { Method } from "./endpoint.ts";

export interface Route {
  readonly method: Method;
  readonly path: string;
}

/** Sorts static segments before parameters (docs/apis/common.md#which-dialect-answers). */
export function inRoutingOrder<R extends Route>(routes: readonly R[]): R[] {
  return routes.toSorted((left, right) => compareText(sortText(left), sortText(right)));
}

export function listMethods(routes: readonly Route[], path: string): string[] {
  const segments = path.split("/");
  const methods = routes.filter((route) => matches(route.path.split("/"), segments)).map(({ method }) => method);
  return [...new Set(methods)].map((method) => method.toUpperCase()).sort();
}

export function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

function sortText({ path, method }: Route): string {
  return `${path.replaceAll(/\{\w+\}/g, "\u{ffff}")} ${method}`;
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, at) => (part.startsWith("{") ? segments[at] !== "" : part === segments[at]));
}

export function matchParams(pattern: string, path: string): Record<string, string> | undefined {
  const [names, segments] = [pattern.split("/"), path.split("/")];
  if (!matches(names, segments)) return undefined;
  const pairs = names.flatMap((name, at) => (name.startsWith("{") ? [[name.slice(1, -1), decoded(segments[at])]] : []));
  return Object.fromEntries(pairs) as Record<string, string>;
}

/** Keeps a badly encoded segment, which matches no record. */
function decoded(segment = ""): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
