import { useId, useState } from "react";
import type { components } from "../../../sdk/schema.ts";
import { useAct } from "../../data/acts.ts";
import { berth } from "../../data/client.ts";
import { useOnce } from "../../data/live.ts";
import { hasGpus, machines } from "../../data/machines.ts";
import { shellWord } from "../../data/new-job.ts";
import { counted, printable } from "../../data/words.ts";
import { Ask } from "../../parts/ask.tsx";
import { Bar } from "../../parts/bar.tsx";
import { At, Until } from "../../parts/clock.tsx";
import { TextField } from "../../parts/field.tsx";
import { Empty } from "../../parts/notices.tsx";
import { Deadline, Outcome } from "../../parts/state.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { Closing, longestReason, withReason } from "./closing.tsx";

type Pool = components["schemas"]["AdminPool"];
type PoolNode = components["schemas"]["PoolNode"];
type Part = Pick<components["schemas"]["PoolPart"], "zone" | "node_group" | "node">;
type Waiting = components["schemas"]["PoolWaiting"];

interface PoolsProps {
  readonly pools: readonly Pool[];
}

export function Types({ pools }: PoolsProps) {
  return (
    <section>
      <h2>Types</h2>
      {pools.length > 0 && (
        <Table caption="Types of machines" columns={poolColumns} rows={pools} rowKey={({ gpu_type }) => gpu_type} />
      )}
      <div className="after">
        <DrainOther pools={pools} />
      </div>
    </section>
  );
}

const poolColumns: readonly Column<Pool>[] = [
  { name: "Type", cell: ({ gpu_type }) => <strong>{printable(gpu_type, 40)}</strong> },
  {
    name: "Held",
    cell: ({ gpu_type, total, in_use, free }) => <Bar type={gpu_type} {...{ total, in_use }} available={free} />,
  },
  { name: "Free", isNumber: true, cell: ({ free, total }) => `${free} of ${total}` },
  { name: "Machines", isNumber: true, cell: ({ node_count }) => node_count },
  { name: "Waiting", isNumber: true, cell: ({ waiting_count }) => waiting_count },
  { name: "State", cell: ({ drained }) => (drained ? <span className="warning">drained</span> : "open") },
  {
    name: "Actions",
    cell: ({ gpu_type, drained }) => (
      <Closing
        subject={`pool ${gpu_type}`}
        label={drained ? "Undrain" : "Drain"}
        command={`berth admin ${drained ? "undrain" : "drain"} ${gpu_type}`}
        effect={drained ? "Waiting ones start." : "No environment of this type starts. Those that run go on."}
        needsReason={drained === null}
        isPlannable={drained === null}
        run={(reason, at) => berth.admin.setDrained(gpu_type, drained === null, { reason, at })}
      />
    ),
  },
];

/** Drains a type that has no machine yet, so that none is made for it. */
function DrainOther({ pools }: PoolsProps) {
  const { data } = useOnce(["availability"], (signal) => berth.availability({ signal }));
  const known = new Set([...Object.keys(machines), ...Object.keys(data?.availability ?? {})]);
  const others = [...known].filter((name) => pools.every(({ gpu_type }) => gpu_type !== name));
  const [chosen, setChosen] = useState("");
  const [text, setText] = useState("");
  const id = useId();
  const act = useAct("pool other");
  const type = others.includes(chosen) ? chosen : (others[0] ?? "");
  if (type === "") return null;
  const { reason, words } = withReason(`berth admin drain ${shellWord(type)}`, text);
  return (
    <>
      <Ask
        title="Drain a type without machines"
        label="Drain another type"
        words={words}
        act={() => void act(`Drain ${type}`, () => berth.admin.setDrained(type, true, { reason }))}
      >
        <p>No environment of this type starts, also if a machine comes.</p>
        <p className="field">
          <label htmlFor={id}>Type</label>
          <select id={id} value={type} onChange={({ target }) => setChosen(target.value)}>
            {others.map((name) => (
              <option key={name} value={name}>
                {printable(name, 40)}
              </option>
            ))}
          </select>
        </p>
        <TextField label="Reason" hint="Those who wait read it" most={longestReason} value={text} set={setText} />
      </Ask>
      <Outcome subject="pool other" />
    </>
  );
}

interface UndrainingProps {
  readonly type: string;
  readonly part: Part;
  /** Whether its drain is planned only. */
  readonly isPlanned?: boolean;
}

/** Starts environments on a drained part of a type again, or drops its planned drain. */
export function Undraining({ type, part, isPlanned = false }: UndrainingProps) {
  const [zone, nodeGroup, node] = [part.zone ?? undefined, part.node_group ?? undefined, part.node ?? undefined];
  const flag = node ? "--node" : zone ? "--zone" : "--node-group";
  const name = node ?? zone ?? nodeGroup;
  const flags = name === undefined ? "" : ` ${flag} ${shellWord(name)}`;
  return (
    <Closing
      subject={`part ${type}${flags}`}
      label={isPlanned ? "Drop" : "Undrain"}
      command={`berth admin undrain ${shellWord(type)}${flags}`}
      effect={isPlanned ? "The drain is dropped. Longer environments start there again." : "Waiting ones start."}
      needsReason={false}
      run={() => berth.admin.setDrained(type, false, { zone, nodeGroup, node })}
    />
  );
}

/** Drains one machine. */
function DrainNode({ type, node }: { readonly type: string; readonly node: string }) {
  return (
    <Closing
      subject={`drain ${type} ${node}`}
      label="Drain"
      command={`berth admin drain ${shellWord(type)} --node ${shellWord(node)}`}
      effect={`No environment starts on ${printable(node, 253)}. Those that run go on.`}
      needsReason
      readers="Operators"
      isPlannable
      run={(reason, at) => berth.admin.setDrained(type, true, { node, reason, at })}
    />
  );
}

type QueueRow = Waiting & { readonly gpu_type: string };

/** Table of waiting jobs in the planner's order of each type. */
export function Queue({ pools }: PoolsProps) {
  const rows = pools.flatMap(({ gpu_type, queue }) => queue.map((entry) => ({ ...entry, gpu_type })));
  const missing = pools.reduce((sum, { waiting_count, queue }) => sum + waiting_count - queue.length, 0);
  return (
    <section>
      <h2>Queue</h2>
      {rows.length === 0 ? (
        <Empty title="Nothing waits" />
      ) : (
        <Table
          caption="Waiting environments in the planner's order"
          columns={queueColumns}
          rows={rows}
          rowKey={({ api, user_id, environment_id }) => `${api} ${user_id} ${environment_id}`}
        />
      )}
      {missing > 0 && <p className="faint">{counted(missing, "more waits behind them", "more wait behind them")}.</p>}
    </section>
  );
}

const queueColumns: readonly Column<QueueRow>[] = [
  {
    name: "Place",
    cell: ({ gpu_type, position }) => `${printable(gpu_type, 40)} ${position === null ? "–" : `#${position}`}`,
  },
  {
    name: "Name",
    cell: ({ name, api }) => (
      <>
        <bdi className="name">{printable(name, 128)}</bdi>
        {api !== "gpu-dev" && <span className="why">{printable(api, 40)}</span>}
      </>
    ),
  },
  { name: "Owner", cell: ({ user_id }) => <bdi>{printable(user_id, 100)}</bdi> },
  { name: "Needs", cell: (entry) => describeNeed(entry) },
  { name: "Owner has", cell: ({ share }) => `${Math.round(share * 100)} % of the type` },
  { name: "Since", cell: ({ queued_at }) => <At time={queued_at} /> },
  {
    name: "Why",
    cell: ({ reason, estimated_start_time }) => (
      <>
        <Deadline job={{ status: "queued", expires_at: null, estimated_start_time, estimated_start_latest: null }} />
        {reason !== null && <span className="why">{printable(reason, 400)}</span>}
      </>
    ),
  },
];

function describeNeed({ gpu_type, machines: count, units }: QueueRow): string {
  const each = counted(units, hasGpus(gpu_type) ? "GPU" : "unit");
  return count === 1 ? each : `${each} on each of ${count} machines`;
}

type NodeRow = PoolNode & { readonly gpu_type: string };

const unfoldedMachines = 20;

/** The machines, and who holds each until when. */
export function Machines({ pools }: PoolsProps) {
  const rows = pools.flatMap(({ gpu_type, nodes }) => nodes.map((node) => ({ ...node, gpu_type })));
  const total = pools.reduce((sum, { node_count }) => sum + node_count, 0);
  const [isOpen, setIsOpen] = useState(rows.length <= unfoldedMachines);
  if (rows.length === 0) return null;
  return (
    <section>
      <h2>Machines</h2>
      <details open={isOpen} onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
        <summary>{counted(total, "machine")} and their holders</summary>
        {isOpen && (
          <Table caption="Machines and their holders" columns={nodeColumns} rows={rows} rowKey={({ node }) => node} />
        )}
        {total > rows.length && <p className="faint">{total - rows.length} more are not shown here.</p>}
      </details>
    </section>
  );
}

const nodeColumns: readonly Column<NodeRow>[] = [
  { name: "Machine", cell: ({ node }) => <code>{printable(node, 253)}</code> },
  { name: "Type", cell: ({ gpu_type }) => printable(gpu_type, 40) },
  { name: "Zone", cell: ({ zone }) => printable(zone, 60) },
  {
    name: "State",
    cell: ({ status, fault, drained }) => {
      const words = [printable(status.replace("_", " "), 40), ...(drained ? ["drained"] : [])].join(", ");
      if (words === "ready") return "ready";
      return (
        <>
          <span className="warning">{words}</span>
          {fault !== null && <span className="why">{printable(fault, 200)}</span>}
        </>
      );
    },
  },
  { name: "Held by", cell: (node) => <Holders node={node} /> },
  {
    name: "Actions",
    cell: ({ gpu_type, node, status, drained }) => (
      <span className="buttons">
        {!drained && <DrainNode type={gpu_type} node={node} />}
        <GoneOrBack node={node} isGone={status === "gone"} />
      </span>
    ),
  },
];

/** Declares a machine dead, or takes that back. */
function GoneOrBack({ node, isGone }: { readonly node: string; readonly isGone: boolean }) {
  return (
    <Closing
      subject={`node ${node}`}
      label={isGone ? "Take back" : "Declare gone"}
      command={`berth admin node ${isGone ? "back" : "gone"} ${shellWord(node)}`}
      effect={
        isGone
          ? `${printable(node, 253)} takes environments again once the cluster lists it as ready.`
          : `For a machine that does not come back: all environments on ${printable(node, 253)} are lost at once.`
      }
      {...(!isGone && { typed: node })}
      needsReason={!isGone}
      readers="Operators"
      run={(reason) => berth.admin.setNodeGone(node, !isGone, { reason })}
    />
  );
}

function Holders({ node: { holders, units, gpu_type } }: { readonly node: NodeRow }) {
  if (holders.length === 0) return <span className="faint">no one</span>;
  return (
    <ul className="plain">
      {holders.map(({ user_id, environment_id, api, units: held, phase, until }) => (
        <li key={`${api} ${user_id} ${environment_id}`}>
          <bdi>{printable(user_id, 100)}</bdi>: {held} of {counted(units, hasGpus(gpu_type) ? "GPU" : "unit")},{" "}
          {printable(phase, 40)}
          {until !== null && (
            <>
              , <Until time={until} /> left
            </>
          )}{" "}
          <code className="faint">{printable(environment_id, 8)}</code>
        </li>
      ))}
    </ul>
  );
}
