import { useState } from "react";
import { useLocation } from "wouter";
import type { Disk } from "../../../sdk/disks.ts";
import { useAct } from "../../data/acts.ts";
import { berth } from "../../data/client.ts";
import { waitForOperation } from "../../data/wait-for-end.ts";
import { Ask } from "../../parts/ask.tsx";
import { TextField } from "../../parts/field.tsx";

const usualSize = "100";

/** Button that makes a disk. */
export function Create() {
  const act = useAct("disks");
  const [name, setName] = useState("");
  const [size, setSize] = useState(usualSize);
  const isName = /^[a-zA-Z0-9_-]{1,64}$/.test(name);
  const gb = Number(size);
  const isSize = Number.isInteger(gb) && gb >= 10 && gb <= 10_000;
  const create = async () => {
    await waitForOperation(await berth.disks.create({ disk_name: name, size_gb: gb }));
  };
  const clear = () => {
    setName("");
    setSize(usualSize);
  };
  return (
    <Ask
      title="New disk"
      label="New disk"
      words={`berth disks create ${isName ? name : "NAME"} --size ${isSize ? gb : 100}`}
      isReady={isName && isSize}
      act={() => void act(`Create ${name}`, create)}
      clear={clear}
    >
      <TextField label="Name" hint="Letters, digits, _ and -" value={name} set={setName} />
      <TextField label="Size in GB" hint="10 to 10000" isWrong={!isSize} value={size} set={setSize} />
    </Ask>
  );
}

export function MakeSnapshot({ name }: { readonly name: string }) {
  const act = useAct(`disk ${name}`);
  const make = async () => {
    await waitForOperation(await berth.disks.snapshot(name));
  };
  return (
    <Ask
      title={`Make a snapshot of ${name}`}
      label="Snapshot"
      words={`berth disks snapshot ${name}`}
      act={() => void act("Snapshot", make)}
    >
      <p>It keeps the files as they are now. The newest five stay: one more removes the oldest of them.</p>
    </Ask>
  );
}

export function Rename({ name }: { readonly name: string }) {
  const act = useAct(`disk ${name}`);
  const [newName, setNewName] = useState(name);
  const [, navigate] = useLocation();
  const isName = /^[a-zA-Z0-9_-]{1,64}$/.test(newName) && newName !== name;
  const rename = async () => {
    const screen = location.pathname;
    await berth.disks.rename(name, newName);
    // The user may already type on another screen.
    if (location.pathname === screen) navigate(`/disks/${encodeURIComponent(newName)}`);
  };
  return (
    <Ask
      title={`Rename ${name}`}
      label="Rename"
      words={`berth disks rename ${name} ${isName ? newName : "NEW-NAME"}`}
      isReady={isName}
      act={() => void act("Rename", rename)}
      clear={() => setNewName(name)}
    >
      <TextField label="New name" hint="Letters, digits, _ and -" value={newName} set={setNewName} />
    </Ask>
  );
}

export function Delete({ disk }: { readonly disk: Disk }) {
  const { disk_name: name } = disk;
  const act = useAct(`disk ${name}`);
  const remove = async () => {
    await waitForOperation(await berth.disks.delete(name));
  };
  return (
    <Ask
      title={`Delete ${name}`}
      label="Delete"
      isDangerous
      typed={name}
      words={`berth disks rm ${name}`}
      act={() => void act("Delete", remove)}
    >
      <p>
        No environment can use it any more. Its {disk.size_gb} GB of files and {disk.snapshot_count} snapshots are kept
        for some weeks, and it can be brought back until then. <strong>After that they are lost.</strong>
      </p>
    </Ask>
  );
}

export function Undelete({ disk }: { readonly disk: Disk }) {
  const { disk_name: name } = disk;
  const act = useAct(`disk ${name}`);
  const undelete = async () => {
    await waitForOperation(await berth.disks.undelete(name));
  };
  return (
    <Ask
      title={`Bring ${name} back`}
      label="Bring back"
      words={`berth disks undelete ${name}`}
      act={() => void act("Bring back", undelete)}
    >
      <p>It has all its files and snapshots again.</p>
    </Ask>
  );
}
