import { type Check, different, functionIn, ofType } from "./checks.ts";
import { rolePolicies } from "./policies.ts";
import type { Resource } from "./synthesize.ts";

/** Finds loops: role policies name the queues a function sends to, and mappings the functions a queue invokes. */
export const recursionChecks = {
  loops(resources) {
    const mappings = ofType(resources, "aws:lambda/eventSourceMapping:EventSourceMapping");
    const made = ofType(resources, "aws:lambda/function:Function");
    const invokes = new Map(mappings.map(({ inputs }) => [inputs.eventSourceArn, functionIn(inputs.functionName)]));
    const sends = new Map(made.map((resource) => [functionIn(resource.inputs.name), listQueues(resource, resources)]));
    const getNext = (name: string) => (sends.get(name) ?? []).flatMap((arn) => invokes.get(arn) ?? []);
    const looping = [...new Set(invokes.values())].filter((name) => reachesItself(name, getNext));
    const configs = ofType(resources, "aws:lambda/functionRecursionConfig:FunctionRecursionConfig");
    // Lambda Developer Guide, "Use Lambda recursive loop detection to prevent infinite loops".
    return different(
      "functions that may loop",
      configs.map(({ inputs }) => `${functionIn(inputs.functionName)} ${inputs.recursiveLoop}`),
      looping.map((name) => `${name} Allow`),
    );
  },
} as const satisfies Record<string, Check>;

function reachesItself(start: string, getNext: (name: string) => readonly string[]): boolean {
  const reached = new Set(getNext(start));
  for (const name of reached) for (const next of getNext(name)) reached.add(next);
  return reached.has(start);
}

function listQueues({ inputs }: Resource, resources: readonly Resource[]): string[] {
  const role = String(inputs.role).split("/").pop();
  return rolePolicies(resources)
    .filter(({ of }) => of === role)
    .flatMap(({ document }) => JSON.parse(document).Statement)
    .filter(({ Effect, Action }) => Effect === "Allow" && Action.includes("sqs:SendMessage"))
    .flatMap(({ Resource }) => Resource);
}
