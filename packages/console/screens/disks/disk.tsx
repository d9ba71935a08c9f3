import { useState } from "react";
import type { Disk } from "../../../sdk/disks.ts";
import { berth } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { printable, printableLog } from "../../data/words.ts";
import { At } from "../../parts/clock.tsx";
import { Facts } from "../../parts/facts.tsx";
import { Title } from "../../parts/layout.tsx";
import { Empty, Loaded } from "../../parts/notices.tsx";
import { Outcome } from "../../parts/state.tsx";
import { Delete, MakeSnapshot, Rename, Undelete } from "./disk-acts.tsx";
import { DiskState } from "./disks.tsx";
import { LastBackup, Snapshots } from "./snapshots.tsx";

export function DiskScreen({ name }: { readonly name: string }) {
  const query = useLive(["disk", name], (signal) => berth.disks.get(name, { signal }));
  return (
    <>
      {!query.data && <Title title={name} />}
      <Loaded query={query}>{(disk) => <DiskPage disk={disk} />}</Loaded>
    </>
  );
}

function DiskPage({ disk }: { readonly disk: Disk }) {
  const { disk_name: name } = disk;
  return (
    <>
      <Title title={name}>
        {disk.is_deleted ? (
          <Undelete disk={disk} />
        ) : (
          <>
            <MakeSnapshot name={name} />
            <Rename name={name} />
            <Delete disk={disk} />
          </>
        )}
      </Title>
      <p className="headline">
        <DiskState disk={disk} />
      </p>
      <Outcome subject={`disk ${name}`} />
      <div className="columns">
        <section>
          <h2>About it</h2>
          <Facts
            facts={[
              ["Size", `${disk.size_gb} GB`],
              ["Created", <At key="created" time={disk.created_at} />],
              ["Last used", disk.last_used === null ? "never" : <At key="used" time={disk.last_used} />],
              ["Last backup", <LastBackup key="backup" name={name} />],
              ["Backups", "made when an environment that used it ends; the newest three are kept"],
            ]}
          />
        </section>
        <Snapshots name={name} />
      </div>
      <Files name={name} />
    </>
  );
}

/** What the last backup saw, read only while it is unfolded. */
function Files({ name }: { readonly name: string }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="ended" onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Files that the last backup saw</summary>
      {isOpen && <FileList name={name} />}
    </details>
  );
}

function FileList({ name }: { readonly name: string }) {
  const query = useLive(["content", name], (signal) => berth.disks.content(name, { signal }));
  return (
    <Loaded query={query}>
      {({ content, message }) =>
        content === null ? (
          <Empty title={printable(message ?? "No list was kept", 300)} />
        ) : (
          <pre className="code">{printableLog(content)}</pre>
        )
      }
    </Loaded>
  );
}
