import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import type { Me } from "../../../sdk/berth.ts";
import { OpenedAct, Withdrawn } from "../../parts/ask.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import type { Entry } from "./entries.tsx";
import { Entries, Finder } from "./finder.tsx";

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** Finds screens, environments, disks, and what can be done, all by keyboard. */
export function Palette({ me }: { readonly me: Me }) {
  const [isOpen, setIsOpen] = useShortcut();
  const [opened, setOpened] = useState<Entry>();
  const [, navigate] = useLocation();
  const choose = (entry: Entry) => {
    setIsOpen(false);
    if ("page" in entry) return location.assign(entry.page);
    navigate(entry.screen);
    setOpened(entry.act === undefined ? undefined : entry);
  };
  return (
    <>
      <button
        type="button"
        className="find quiet"
        aria-keyshortcuts={isMac ? "Meta+K" : "Control+K"}
        onClick={() => setIsOpen(true)}
      >
        Find <kbd>{isMac ? "⌘" : "Ctrl"} K</kbd>
      </button>
      {isOpen && (
        <Dialog title="Find a screen or an environment" className="palette" close={() => setIsOpen(false)}>
          <Finder me={me} choose={choose} close={() => setIsOpen(false)} />
        </Dialog>
      )}
      {opened && (
        <Entries me={me}>
          {(entries) => <Opened opened={opened} entries={entries} close={() => setOpened(undefined)} />}
        </Entries>
      )}
    </>
  );
}

interface OpenedProps {
  readonly opened: Entry;
  readonly entries: readonly Entry[];
  close(): void;
}

/** The dialog of an act. It follows the record, as the dialogs of the screens do. */
function Opened({ opened, entries, close }: OpenedProps) {
  const entry = entries.find(({ key }) => key === opened.key);
  if (entry && "act" in entry) return <OpenedAct value={close}>{entry.act}</OpenedAct>;
  return (
    <Dialog title={opened.label} close={close}>
      <Withdrawn close={close} />
    </Dialog>
  );
}

/** A state that becomes true with Control-K, or Command-K on a Mac. Another dialog keeps the keyboard. */
function useShortcut() {
  const state = useState(false);
  const [, setIsOpen] = state;
  useEffect(() => {
    const press = (event: globalThis.KeyboardEvent) => {
      const isShortcut = event.key.toLowerCase() === "k" && (isMac ? event.metaKey : event.ctrlKey);
      if (!isShortcut || event.altKey || event.shiftKey) return;
      event.preventDefault();
      if (!document.querySelector("dialog[open]")) setIsOpen(true);
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  return state;
}
