import { createInterface } from "node:readline/promises";

/** Asks a question that "y" answers with yes. `unchanged` says that nothing was done, without an end of the sentence. */
export async function confirm(question: string, unchanged: string): Promise<boolean> {
  if (!(process.stdin.isTTY && process.stderr.isTTY)) {
    process.stderr.write(`${unchanged}: add --yes, since nobody can be asked here\n`);
    return false;
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asking.question(`${question} [y/N] `);
  asking.close();
  const isYes = /^y(es)?$/i.test(answer.trim());
  if (!isYes) process.stderr.write(`${unchanged}.\n`);
  return isYes;
}
