import { CliError, exitCodes } from "../failure.ts";
import { connect } from "../login/connect.ts";
import { out, outJson, readInput } from "../terminal/terminal.ts";
import { jsonText, printableLog } from "../terminal/text.ts";

interface ApiFlags {
  readonly data?: string;
  readonly json: boolean;
}

/** Calls a path of the API and prints the answer. */
export async function api({ data, json }: ApiFlags, ...words: string[]): Promise<void> {
  const [method = "GET", path = ""] = words.length > 1 ? words : ["GET", ...words];
  if (!path.startsWith("/"))
    throw new CliError("A path must begin with /", exitCodes.usage, "For example: berth api /v1/jobs");
  const body = data === undefined ? undefined : readBody(data === "-" ? await readInput() : data);
  const answer = await (await connect()).call(method.toUpperCase(), path, { body });
  if (json) return outJson(answer);
  const { isTTY } = process.stdout;
  if (typeof answer === "string") return out(`${isTTY ? printableLog(answer) : answer}\n`);
  out(`${jsonText(answer, isTTY ? 2 : 0)}\n`);
}

function readBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CliError("--data is no JSON", exitCodes.usage, `For example: --data '{"hours": 1}'`);
  }
}
