import type { Admin } from "../../../sdk/admin.ts";
import { CliError, exitCodes } from "../../failure.ts";
import { shortId } from "../../jobs/find-job.ts";
import { describeMachine, timeLeft } from "../../jobs/job-words.ts";
import { connect } from "../../login/connect.ts";
import { collect } from "../../terminal/collect.ts";
import { table } from "../../terminal/layout.ts";
import { confirm, isInteractive, out, outJson, outputColumns, say } from "../../terminal/terminal.ts";
import { booleanField, printable, told } from "../../terminal/text.ts";
import { statusesIn } from "../jobs/list.ts";

interface JsonFlags {
  readonly json: boolean;
}

interface YesFlags extends JsonFlags {
  readonly yes: boolean;
}

interface CloseFlags extends YesFlags {
  readonly reason?: string;
}

/** A part of a type: the machines in a zone or of a node group, or one machine. */
interface PartFlags {
  readonly zone?: string;
  readonly nodeGroup?: string;
  readonly node?: string;
}

interface DrainFlags extends CloseFlags, PartFlags {
  /** RFC 3339. At once by default. */
  readonly at?: string;
}

type Admission = Awaited<ReturnType<Admin["setPaused"]>>;

async function operator(): Promise<Admin> {
  return (await connect()).admin;
}

/** Prints the jobs of all users, newest first. */
export async function listJobs({ status, user, json }: JsonFlags & JobFilter): Promise<void> {
  const wanted = status === undefined ? undefined : statusesIn(status);
  const jobs = await collect((await operator()).jobs({ status: wanted, user }));
  if (json) return outJson(jobs);
  if (jobs.length === 0) return say("There are no such jobs.");
  const rows = jobs.map((job) => [
    job.user_id,
    shortId(job),
    job.name,
    job.status,
    describeMachine(job),
    timeLeft(job),
    job.status_reason ?? "",
  ]);
  out(table([["USER", "ID", "NAME", "STATUS", "MACHINE", "TIME", "REASON"], ...rows], outputColumns()));
}

interface JobFilter {
  readonly status?: string;
  readonly user?: string;
}

/** Ends a job of any user. */
export async function endJob({ yes, user, reason, json }: CloseFlags & OwnerFlag, id: string): Promise<void> {
  const whose = user === undefined ? "" : ` of ${printable(user)}`;
  await agree(yes, `End the job ${printable(id)}${whose}?`);
  // The server refuses an empty user or reason, as an unset variable of a shell gives.
  const body = { ...(user !== undefined && { user }), ...(reason !== undefined && { reason }) };
  const requested = await (await operator()).cancelJob(id, body);
  if (json) return outJson(requested);
  out(told`The end of ${requested.job_id.slice(0, 8)} is requested.\n`);
}

interface OwnerFlag {
  readonly user?: string;
}

/** Starts no more jobs on a type of machine, or on a part of it, at once or from a time on. */
export async function drain({ yes, json, ...options }: DrainFlags, type: string): Promise<void> {
  const { zone, nodeGroup, node, at } = options;
  const where = describePart({ gpu_type: type, zone, node_group: nodeGroup, node });
  const planned = `Drain ${where} at ${at}, and start only jobs there that end by then?`;
  await agree(yes, at === undefined ? `Start no more jobs on ${where}?` : planned);
  printAdmission(await (await operator()).setDrained(type, true, options), json);
}

/** Starts jobs on a type of machine again, or on a part of it. */
export async function undrain({ json, ...part }: JsonFlags & PartFlags, type: string): Promise<void> {
  printAdmission(await (await operator()).setDrained(type, false, part), json);
}

/** Returns the words for a part of a type: `h100 in zone us-east-2a`. */
function describePart({ gpu_type, zone, node_group, node }: AskedPart): string {
  if (node) return told`${gpu_type} on ${node}`;
  if (node_group) return told`${gpu_type} of node group ${node_group}`;
  return zone ? told`${gpu_type} in zone ${zone}` : printable(gpu_type);
}

type Part = Admission["drained_parts"][number];
type AskedPart = Pick<Part, "gpu_type"> & {
  readonly [Field in "zone" | "node_group" | "node"]?: string | null | undefined;
};

/** Starts no more jobs at all. */
export async function pause({ yes, reason, json }: CloseFlags): Promise<void> {
  await agree(yes, "Start no more jobs of anybody?");
  printAdmission(await (await operator()).setPaused(true, { reason }), json);
}

/** Starts jobs again. */
export async function resume({ json }: JsonFlags): Promise<void> {
  printAdmission(await (await operator()).setPaused(false), json);
}

function printAdmission(state: Admission, json: boolean): void {
  if (json) {
    outJson(state);
    return;
  }
  const parts = [...state.drained_gpu_types, ...state.drained_parts.map(describePart)];
  const drained = parts.length === 0 ? "none" : parts.join(", ");
  const planned = state.planned_drains.map((plan) => told`${describePart(plan)} at ${plan.at}`);
  out(
    table([
      ["Paused", booleanField(state.paused) ? "yes" : "no"],
      ["Drained", drained],
      ...(planned.length > 0 ? [["Planned", planned.join(", ")]] : []),
    ]),
  );
}

/** Disables a user. */
export async function disableUser({ yes, json }: YesFlags, name: string): Promise<void> {
  await agree(yes, `Refuse all keys and logins of ${printable(name)}?`);
  await setDisabled(name, true, json);
}

/** Enables a user. */
export async function enableUser({ json }: JsonFlags, name: string): Promise<void> {
  await setDisabled(name, false, json);
}

async function setDisabled(name: string, isDisabled: boolean, json: boolean): Promise<void> {
  const state = await (await operator()).setDisabled(name, isDisabled);
  if (json) return outJson(state);
  out(told`${state.username} is ${booleanField(state.disabled) ? "disabled" : "enabled"}.\n`);
}

/** Prints the machines. */
export async function listNodes({ json }: JsonFlags): Promise<void> {
  const nodes = await collect((await operator()).nodes());
  if (json) return outJson(nodes);
  if (nodes.length === 0) return say("There are no machines.");
  const rows = nodes.map(({ node, gpu_type, zone, status, units, units_in_use }) => {
    return [node, gpu_type, zone, status, told`${units_in_use} of ${units}`];
  });
  out(table([["NODE", "TYPE", "ZONE", "STATUS", "IN USE"], ...rows], outputColumns()));
}

/** Declares a machine gone. */
export async function declareGone({ yes, reason, json }: CloseFlags, name: string): Promise<void> {
  await agree(yes, `Declare ${printable(name)} gone, and end its jobs?`);
  printNode(await (await operator()).setNodeGone(name, true, { reason }), json);
}

/** Takes back that a machine is gone. */
export async function takeBack({ json }: JsonFlags, name: string): Promise<void> {
  printNode(await (await operator()).setNodeGone(name, false), json);
}

function printNode(state: Awaited<ReturnType<Admin["setNodeGone"]>>, json: boolean): void {
  if (json) outJson(state);
  else out(told`${state.node} is ${state.status}.\n`);
}

/** Prints what no record explains. */
export async function listOrphans({ json }: JsonFlags): Promise<void> {
  const found = await (await operator()).orphans();
  if (json) return outJson(found);
  const rows = [
    ...found.runs.map((run) => ["run", told`${run.uid}-r${run.run}`, run.first_seen_at, run.why]),
    ...found.records.map((record) => ["record", record.record, record.first_seen_at, record.why]),
    ...found.volumes.map(({ volume, first_seen_at, why }) => ["volume", volume, first_seen_at, why]),
    ...found.snapshots.map(({ snapshot, first_seen_at, why }) => ["snapshot", snapshot, first_seen_at, why]),
  ];
  say(found.checked_at === null ? "Nothing was compared yet." : told`Compared at ${found.checked_at}.`);
  if (rows.length === 0) return say("There are no orphans.");
  out(table([["KIND", "NAME", "FIRST SEEN", "WHY"], ...rows], outputColumns()));
}

/** Prints what operators did. */
export async function listAudit({ limit = 50, json }: JsonFlags & { readonly limit?: number }): Promise<void> {
  const entries: Entry[] = [];
  for await (const entry of (await operator()).audit()) {
    if (entries.push(entry) >= limit) break;
  }
  if (json) return outJson(entries);
  if (entries.length === 0) return say("No operator did anything yet.");
  const rows = entries.map(({ at, operator, action, target, count, result, reason }) => [
    at,
    operator,
    action,
    target ?? "-",
    told`${count}`,
    result,
    reason ?? "",
  ]);
  out(table([["TIME", "OPERATOR", "ACTION", "TARGET", "COUNT", "RESULT", "REASON"], ...rows], outputColumns()));
}

type Entry = ReturnType<Admin["audit"]> extends AsyncGenerator<infer Item> ? Item : never;

const agreeHint = "Answer y, or give --yes";

/** Asks before users are disturbed. */
async function agree(yes: boolean, question: string): Promise<void> {
  if (yes) return;
  if (!isInteractive()) throw new CliError("This question needs a terminal", exitCodes.usage, "Give --yes");
  if (!(await confirm(question))) throw new CliError("Nothing was changed", exitCodes.failed, agreeHint);
}
