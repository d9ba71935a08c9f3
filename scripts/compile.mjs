// Plain JavaScript, as start.mjs, which runs it: compiles all that a start loads, and prints the files with types among it.
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const files = [];
registerHooks({
  load(url, context, next) {
    if (/^file:.*\.ts$/.test(url)) files.push(fileURLToPath(url));
    return next(url, context);
  },
});
process.on("exit", () => console.log(JSON.stringify(files)));
await import("./start.ts");
