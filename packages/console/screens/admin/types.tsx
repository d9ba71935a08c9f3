import { useContext, useId, useState } from "react";
import type { components } from "../../../sdk/schema.ts";
import { useAct } from "../../data/acts.ts";
import { berth } from "../../data/client.ts";
import { useOnce } from "../../data/live.ts";
import { machines } from "../../data/machines.ts";
import { shellWord } from "../../data/new-job.ts";
import { printable } from "../../data/words.ts";
import { Ask, OpenedAct } from "../../parts/ask.tsx";
import { Bar } from "../../parts/bar.tsx";
import { TextField } from "../../parts/field.tsx";
import { Outcome } from "../../parts/state.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { Closing, longestReason, withReason } from "./closing.tsx";

type Pool = components["schemas"]["AdminPool"];

interface PoolsProps {
  readonly pools: readonly Pool[];
}

/** Table of the types of machines, with how much of each is held. */
export function Types({ pools }: PoolsProps) {
  const otherTypes = useOtherTypes(pools);
  return (
    <section>
      <h2>Types</h2>
      {pools.length > 0 && (
        <Table caption="Types of machines" columns={poolColumns} rows={pools} rowKey={({ gpu_type }) => gpu_type} />
      )}
      <div className="after">
        <DrainOther types={otherTypes} />
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
    cell: (pool) => <DrainType pool={pool} />,
  },
];

/** Drains a type of machines, or undrains it. */
export function DrainType({ pool: { gpu_type, drained } }: { readonly pool: Pool }) {
  return (
    <Closing
      subject={`pool ${gpu_type}`}
      label={drained ? "Undrain" : "Drain"}
      title={`${drained ? "Undrain" : "Drain"} ${printable(gpu_type, 40)}`}
      command={`berth admin ${drained ? "undrain" : "drain"} ${gpu_type}`}
      effect={drained ? "Waiting ones start." : "No environment of this type starts. Those that run go on."}
      needsReason={drained === null}
      isPlannable={drained === null}
      run={(reason, at) => berth.admin.setDrained(gpu_type, drained === null, { reason, at })}
    />
  );
}

/** Returns the types that have no machine yet. */
export function useOtherTypes(pools: readonly Pool[] | undefined): readonly string[] {
  const { data } = useOnce(["availability"], (signal) => berth.availability({ signal }));
  if (!pools) return [];
  const known = new Set([...Object.keys(machines), ...Object.keys(data?.availability ?? {})]);
  return [...known].filter((name) => pools.every(({ gpu_type }) => gpu_type !== name));
}

/** Drains a type that has no machine yet, so that none is made for it. */
export function DrainOther({ types }: { readonly types: readonly string[] }) {
  const [chosen, setChosen] = useState("");
  const [text, setText] = useState("");
  const id = useId();
  const isOpened = useContext(OpenedAct) !== undefined;
  const act = useAct("pool other");
  const type = types.includes(chosen) ? chosen : (types[0] ?? "");
  if (type === "") return null;
  const { reason, words } = withReason(`berth admin drain ${shellWord(type)}`, text);
  return (
    <>
      <Ask
        title="Drain a type without machines"
        label="Drain another type"
        words={words}
        act={() => void act(`Drain ${type}`, () => berth.admin.setDrained(type, true, { reason }))}
        clear={() => setText("")}
      >
        <p>No environment of this type starts, also if a machine comes.</p>
        <p className="field">
          <label htmlFor={id}>Type</label>
          <select id={id} value={type} onChange={({ target }) => setChosen(target.value)}>
            {types.map((name) => (
              <option key={name} value={name}>
                {printable(name, 40)}
              </option>
            ))}
          </select>
        </p>
        <TextField label="Reason" hint="Operators read it" most={longestReason} value={text} set={setText} />
      </Ask>
      {!isOpened && <Outcome subject="pool other" />}
    </>
  );
}
