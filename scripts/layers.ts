import { globSync, readFileSync } from "node:fs";
import { wrongImports } from "./layer-rules.ts";

/** Part of `npm run lint`: fails where a room imports one that its row of the table does not name. */
process.chdir(new URL("..", import.meta.url).pathname);
const files = globSync("{packages,functions,scripts}/**/*.ts").toSorted();
const wrong = files.flatMap((file) => wrongImports(file.replaceAll("\\", "/"), readFileSync(file, "utf8")));
for (const line of wrong) console.error(line);
process.exitCode = wrong.length > 0 ? 1 : 0;
