import type { Dialect } from "../dialect.ts";
import { dev8Dialect } from "./dev8.ts";
import { gpuDevDialect } from "./gpu-dev.ts";
import { novitaDialect } from "./novita.ts";
import { onmemosDialect } from "./onmemos.ts";
import { sessionManagerDialect } from "./session-manager.ts";

/** The dialect in whose envelope a path is answered, known or not (docs/apis/common.md#which-dialect-answers). */
export function dialectOfPath(path: string): Dialect {
  return rules.find(({ pattern }) => pattern.test(path))?.dialect ?? gpuDevDialect;
}

/** Tested top to bottom, by whole segments. */
const rules = [
  { pattern: /^\/session(\/|$)/, dialect: sessionManagerDialect },
  { pattern: /^\/sessions$/, dialect: sessionManagerDialect },
  { pattern: /^\/v1\/sessions(\/|$)/, dialect: onmemosDialect },
  { pattern: /^\/v1\/cloudrun\//, dialect: onmemosDialect },
  { pattern: /^\/api\/v1\//, dialect: dev8Dialect },
  { pattern: /^\/api\//, dialect: novitaDialect },
];
