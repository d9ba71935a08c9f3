import type { Admin } from "../../../sdk/admin.ts";
import { connect } from "../../login/connect.ts";
import { collect } from "../../terminal/collect.ts";
import { table, withoutEmptyColumns } from "../../terminal/layout.ts";
import { out, outJson, outputColumns, say } from "../../terminal/terminal.ts";
import { booleanField, timeSpan, told } from "../../terminal/text.ts";

interface JsonFlags {
  readonly json: boolean;
}

type PoolList = Awaited<ReturnType<Admin["pools"]>>;
type Pool = PoolList["pools"][number];
type Reading = NonNullable<PoolList["node_groups"]>;

/** Prints the types of machines, the machines with their holders, and who waits. */
export async function listPools({ json }: JsonFlags, gpuType?: string): Promise<void> {
  const { admin } = await connect();
  const found = await admin.pools({ gpuType });
  if (json) return outJson(found.pools);
  if (found.paused) say(`No new job starts${describeClosed(found.paused)}.`);
  if (found.node_groups) say(describeReading(found.node_groups));
  if (found.pools.length === 0) return say("There are no machines, and nothing waits.");
  const columns = outputColumns();
  const types = found.pools.map((pool) => {
    const { gpu_type, free, total, node_count, waiting_count } = pool;
    return [gpu_type, told`${free} of ${total}`, told`${node_count}`, told`${waiting_count}`, describeState(pool)];
  });
  out(table([["TYPE", "FREE", "MACHINES", "WAITING", "STATE"], ...types], columns));
  const groups = (found.node_groups?.groups ?? []).map(describeGroup);
  if (groups.length > 0) out(`\n${table(withoutEmptyColumns([GROUP_HEADER, ...groups]), columns)}`);
  const holders = found.pools.flatMap(listHolders);
  const header = ["NODE", "TYPE", "STATUS", "UNITS", "HELD BY", "API", "ENDS", "FAULT"];
  if (holders.length > 0) out(`\n${table(withoutEmptyColumns([header, ...holders]), columns)}`);
  const waiting = found.pools.flatMap(listWaiting);
  if (waiting.length === 0) return;
  out(
    `\n${table([["TYPE", "PLACE", "USER", "NAME", "API", "UNITS", "SHARE", "START", "REASON"], ...waiting], columns)}`,
  );
}

/** Describes the drained parts and planned drains of a type. */
function describeState({ drained, drained_parts, planned_drains }: Pool): string {
  const parts = drained_parts.map((part) => {
    return `${describePlace(part)} drained${describeClosed(part)}`;
  });
  const planned = planned_drains.map((plan) => {
    const { at, by, reason } = plan;
    return told`${describePlace(plan)} drains at ${at}${describeClosed({ since: null, by, reason })}`;
  });
  return [drained ? `drained${describeClosed(drained)}` : "open", ...parts, ...planned].join("; ");
}

function describePlace({ zone, node_group, node }: Place): string {
  if (node !== null) return told`${node}`;
  if (zone !== null) return told`zone ${zone}`;
  return node_group === null ? "the type" : told`node group ${node_group}`;
}

type Place = Pick<Pool["drained_parts"][number], "zone" | "node_group" | "node">;

const GROUP_HEADER = ["NODE GROUP", "TYPE", "ZONES", "MIN", "DESIRED", "MAX", "LACKS", "STARTS", "ENDS"];

/** Returns the row of a node group, under `GROUP_HEADER`. */
export function describeGroup(group: Reading["groups"][number]): string[] {
  const { node_group, instance_types, zones, min, desired, max, active, admits_jobs } = group;
  const { lacks, lacks_in, starts_at, ends_at } = group;
  const numbers = [min, desired, max].map((count) => told`${count ?? ""}`);
  const closed = admits_jobs ? "" : "jobs may not run there";
  const places = lacks_in.length === 0 ? "" : told` in ${lacks_in.join(", ")}`;
  const lack = lacks === null ? (active ? closed : "not active") : `${lacks}${places}`;
  const names = [node_group, instance_types.join(", "), zones.join(", ")].map((name) => told`${name}`);
  return [...names, ...numbers, lack, untilText(starts_at), untilText(ends_at)];
}

/** Returns the time from now until a moment, as text. Returns an empty text for null and for a moment in the past. */
function untilText(time: string | null): string {
  const ms = time === null ? 0 : Date.parse(time) - Date.now();
  return ms > 0 ? `in ${timeSpan(ms)}` : "";
}

/** Says how old the known node groups are, and why if EKS did not tell them when it was asked last. */
export function describeReading({ read_at, error }: Pick<Reading, "read_at" | "error">): string {
  const when =
    read_at === null ? "Node groups never read" : `Node groups read ${timeSpan(Date.now() - Date.parse(read_at))} ago`;
  return error === null ? `${when}.` : told`${when}; EKS: ${error}`;
}

function describeClosed({ since, by, reason }: NonNullable<Pool["drained"]>): string {
  const when = since === null ? "" : told` since ${since}`;
  const who = by === null ? "" : told` by ${by}`;
  return told`${when}${who}${reason === null ? "" : `: ${reason}`}`;
}

/** Returns one row for each holder of a machine, and one row for each free machine. */
export function listHolders({ gpu_type, nodes }: Pick<Pool, "gpu_type" | "nodes">): string[][] {
  return nodes.flatMap(({ node, status: seen, fault, drained, units, holders }) => {
    const status = drained ? `${seen}, drained` : seen;
    const wrong = told`${fault ?? ""}`;
    const rows = holders.map(({ user_id, api, until, units: held }) => {
      const end = until === null ? "" : `in ${timeSpan(Date.parse(until) - Date.now())}`;
      return [node, gpu_type, status, told`${held} of ${units}`, user_id, api, end, wrong];
    });
    return rows.length > 0 ? rows : [[node, gpu_type, status, told`0 of ${units}`, "-", "", "", wrong]];
  });
}

function listWaiting({ gpu_type, queue }: Pool): string[][] {
  return queue.map(({ position, user_id, name, api, machines, units, share, estimated_start_time: start, reason }) => [
    gpu_type,
    position === null ? "-" : told`${position}`,
    user_id,
    name,
    api,
    machines > 1 ? told`${machines} × ${units}` : told`${units}`,
    `${Math.round(share * 100)} %`,
    start === null ? "unknown" : `in ${timeSpan(Date.parse(start) - Date.now())}`,
    reason ?? "",
  ]);
}

/** Prints the users by name. */
export async function listUsers({ json }: JsonFlags): Promise<void> {
  const { admin } = await connect();
  const users = await collect(admin.users());
  if (json) return outJson(users);
  if (users.length === 0) return say("No user has logged in yet.");
  const rows = users.map(({ username, disabled, key_count, web_session_count, last_issued_at }) => [
    username,
    booleanField(disabled) ? "disabled" : "may log in",
    told`${key_count}`,
    told`${web_session_count}`,
    last_issued_at ?? "-",
  ]);
  out(table([["USER", "STATE", "KEYS", "BROWSERS", "NEWEST KEY"], ...rows], outputColumns()));
}

/** Prints the webhook deliveries that wait, of all users, or all of one user. */
export async function listDeliveries({ user, json }: JsonFlags & { readonly user?: string }): Promise<void> {
  const { admin } = await connect();
  const { deliveries, next } = await admin.deliveries({ user });
  if (json) return outJson(deliveries);
  if (deliveries.length === 0) return say(user === undefined ? "No delivery waits." : "This user has no deliveries.");
  const rows = deliveries.map((delivery) => [
    delivery.user_id,
    delivery.environment_name,
    delivery.api,
    delivery.phase,
    delivery.state,
    told`${delivery.attempt_count}`,
    delivery.next_attempt_at ?? "-",
    delivery.created_at,
  ]);
  const header = ["USER", "ENVIRONMENT", "API", "PHASE", "STATE", "ATTEMPTS", "NEXT", "CREATED"];
  out(table([header, ...rows], outputColumns()));
  if (next !== null) say("Older deliveries of this user are not shown.");
}
