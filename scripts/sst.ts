import { runSst } from "./cluster/run-sst.ts";

/** `npm run sst -- <words>`. A removal by SST alone would leave volumes and load balancers, which cost money. */
const words = process.argv.slice(2);
const command = words.find(
  (word, at) => !word.startsWith("-") && !/^--(stage|profile|config)$/.test(words[at - 1] ?? ""),
);

if (command === "remove") {
  process.stderr.write("Use npm run remove -- --stage <stage>, which first says what is left of the stage\n");
  process.exitCode = 2;
} else {
  process.exitCode = runSst(words);
}
