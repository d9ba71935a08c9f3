import type { FunctionEntry } from "../../stacks/compute/functions-file.ts";
import type { AuditPlace } from "./audit-place.ts";
import type { AuditedRole } from "./audited-stage.ts";
import { type Case, runCase, type Scene } from "./cases/case.ts";
import { buildCases } from "./cases/cases.ts";

/** What fails without each action, or undefined if nothing fails. */
export type Failures = Readonly<Record<string, Failure | undefined>>;

export interface Failure {
  readonly case: string;
  /** Short description of the fault, equal in each run. */
  readonly fails: string;
}

/**
 * Runs the cases of a role's functions. Then removes each action in turn, and repeats the cases that used it until one
 * fails. Throws if a case fails with all actions allowed.
 */
export async function takeActionsAway(
  place: AuditPlace,
  { name, actions, statements }: Pick<AuditedRole, "name" | "actions" | "statements">,
  functions: readonly FunctionEntry[],
): Promise<Failures> {
  const allow = async (allowed: readonly string[]) => {
    await place.account.allow(name, allowed);
    place.front.allowConnections(allowed.includes("execute-api:ManageConnections"));
  };
  await allow(actions);
  place.front.allowSends(listQueues(statements));
  place.front.allowIndexes(statements.some(isOnIndexes));
  const tried: Tried[] = [];
  for (const entry of await buildCases(place, functions)) tried.push(await tryCase(place, name, entry));
  // Try the fastest cases first, because several cases use most actions.
  tried.sort((left, right) => left.ms - right.ms);
  const failures: Record<string, Failure | undefined> = {};
  for (const action of actions) {
    await allow(actions.filter((otherAction) => otherAction !== action));
    failures[action] = await findFailure(
      place,
      name,
      tried.filter((entry) => entry.actions.includes(action)),
    );
  }
  return failures;
}

/** Lists the queues that the role may send to: `work` for `…:berth-audit-WorkQueue-abcdefgh`. */
function listQueues(statements: AuditedRole["statements"]): string[] {
  return statements
    .filter(({ Action }) => Action.includes("sqs:SendMessage"))
    .flatMap(({ Resource }) => Resource.map((arn) => /-([A-Za-z]+)Queue-/.exec(arn)?.[1]?.toLowerCase() ?? ""));
}

function isOnIndexes({ Action, Resource }: AuditedRole["statements"][number]): boolean {
  return Action.includes("dynamodb:Query") && Resource.some((arn) => arn.endsWith("/index/*"));
}

interface Tried {
  readonly one: Case;
  readonly scene: Scene;
  readonly actions: readonly string[];
  readonly ms: number;
}

async function tryCase(place: AuditPlace, role: string, entry: Case): Promise<Tried> {
  const scene = await entry.arrange();
  const begunAt = performance.now();
  const { problems, actions } = await runCase(place, role, entry, scene);
  if (problems.length > 0) throw new Error(`${role}, ${formatName(entry)}: ${problems.join("\n")}`);
  return { one: entry, scene, actions, ms: performance.now() - begunAt };
}

async function findFailure(place: AuditPlace, role: string, tried: readonly Tried[]): Promise<Failure | undefined> {
  for (const { one: entry, scene } of tried) {
    const { problems } = await runCase(place, role, entry, scene);
    const [problem] = problems;
    if (problem !== undefined) return { case: formatName(entry), fails: inFewWords(problem) };
  }
  return undefined;
}

function formatName({ entry, name }: Case): string {
  return `${entry.name}: ${name}`;
}

function inFewWords(problem: string): string {
  return /^(answered \d+|answered|threw|(error|warn) "[^"]+")/.exec(problem)?.[0] ?? problem.slice(0, 60);
}
