import { useState } from "react";
import type { components } from "../../../sdk/schema.ts";
import { berth } from "../../data/client.ts";
import { hasGpus } from "../../data/machines.ts";
import { shellWord } from "../../data/new-job.ts";
import { counted, printable } from "../../data/words.ts";
import { Until } from "../../parts/clock.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { Closing } from "./closing.tsx";

interface MachinesProps {
  readonly pools: readonly components["schemas"]["AdminPool"][];
}

type NodeRow = components["schemas"]["PoolNode"] & { readonly gpu_type: string };

const unfoldedMachines = 20;

/** The machines, and who holds each until when. */
export function Machines({ pools }: MachinesProps) {
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

/** Drains one machine. */
export function DrainNode({ type, node }: { readonly type: string; readonly node: string }) {
  return (
    <Closing
      subject={`drain ${type} ${node}`}
      label="Drain"
      title={`Drain ${printable(node, 80)}`}
      command={`berth admin drain ${shellWord(type)} --node ${shellWord(node)}`}
      effect={`No environment starts on ${printable(node, 253)}. Those that run go on.`}
      needsReason
      isPlannable
      run={(reason, at) => berth.admin.setDrained(type, true, { node, reason, at })}
    />
  );
}

/** Declares a machine dead, or takes that back. */
export function GoneOrBack({ node, isGone }: { readonly node: string; readonly isGone: boolean }) {
  return (
    <Closing
      subject={`node ${node}`}
      label={isGone ? "Take back" : "Declare gone"}
      title={isGone ? `Take ${printable(node, 80)} back` : `Declare ${printable(node, 80)} gone`}
      command={`berth admin node ${isGone ? "back" : "gone"} ${shellWord(node)}`}
      effect={
        isGone
          ? `${printable(node, 253)} takes environments again once the cluster lists it as ready.`
          : `For a machine that does not come back: all environments on ${printable(node, 253)} are lost at once.`
      }
      {...(!isGone && { typed: node })}
      needsReason={!isGone}
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
