import type { Dialect, DialectName } from "../dialect.ts";
import { dev8Dialect } from "./dev8.ts";
import { gpuDevDialect } from "./gpu-dev.ts";
import { novitaDialect } from "./novita.ts";
import { onmemosDialect } from "./onmemos.ts";
import { sessionManagerDialect } from "./session-manager.ts";

/** Returns the dialect that answers a path, known or not (docs/apis/common.md#which-dialect-answers). */
export function dialectOfPath(path: string): Dialect {
  return Object.values(places).find(({ pattern }) => pattern.test(path))?.dialect ?? gpuDevDialect;
}

const places = {
  "session-manager": { dialect: sessionManagerDialect, pattern: /^\/(session(\/|$)|sessions$)/ },
  onmemos: { dialect: onmemosDialect, pattern: /^\/v1\/(sessions(\/|$)|cloudrun\/)/ },
  dev8: { dialect: dev8Dialect, pattern: /^\/api\/v1\// },
  novita: { dialect: novitaDialect, pattern: /^\/api\// },
  "gpu-dev": { dialect: gpuDevDialect, pattern: /^\// },
} satisfies Readonly<Record<DialectName, { readonly dialect: Dialect; readonly pattern: RegExp }>>;
