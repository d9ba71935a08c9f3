import { createContext, type ReactNode, useContext, useEffect, useId, useRef, useState } from "react";
import { printable } from "../data/words.ts";
import { announce } from "./announcer.tsx";
import { CommandLine } from "./command-line.tsx";
import { Dialog } from "./dialog.tsx";
import { useLeftFocus } from "./left-focus.ts";

/** Closes an act that was opened by another part of the page than its button. Such an act has no button. */
export const OpenedAct = createContext<(() => void) | undefined>(undefined);

interface AskProps {
  readonly title: string;
  /** Names the act. If it changes while the dialog is open, the dialog withdraws its question. */
  readonly label: string;
  readonly words: string;
  readonly isDangerous?: boolean;
  /** A text that must be typed before the act, such as the name of a disk. */
  readonly typed?: string;
  readonly isReady?: boolean;
  readonly children?: ReactNode;
  act(): void;
  /** Empties the fields among the children. Called whenever the dialog closes. */
  clear?(): void;
}

/** Button that asks for confirmation in a dialog, which names the loss and shows the equal `berth` line. */
export function Ask(props: AskProps) {
  const { title, label, isDangerous, clear } = props;
  const closeOpened = useContext(OpenedAct);
  const [opened, setOpened] = useState(closeOpened && { title, label });
  const ref = useLeftFocus<HTMLButtonElement>();
  useLostQuestion(closeOpened ? undefined : opened?.title);
  const close = () => {
    setOpened(undefined);
    clear?.();
    closeOpened?.();
  };
  const open = () => setOpened({ title, label });
  const isWithdrawn = opened !== undefined && opened.label !== label;
  return (
    <>
      {!closeOpened && (
        <button ref={ref} type="button" className={isDangerous ? "danger" : ""} onClick={open}>
          {label}…
        </button>
      )}
      {opened && (
        <Dialog title={isWithdrawn ? opened.title : title} close={close}>
          {isWithdrawn ? <Withdrawn close={close} /> : <AskForm {...props} close={close} />}
        </Dialog>
      )}
    </>
  );
}

/** Announces that a dialog closed because its act disappeared, for example because its environment has ended. */
function useLostQuestion(title: string | undefined): void {
  const open = useRef({ title, screen: location.pathname });
  useEffect(() => {
    open.current = { title, screen: location.pathname };
  }, [title]);
  useEffect(() => {
    return () => {
      const { title: lost, screen } = open.current;
      // The user may have left the screen.
      if (lost === undefined || location.pathname !== screen) return;
      announce(`${printable(lost, 200)}: closed, because it is no longer possible here`);
    };
  }, []);
}

/** Content of a dialog whose act is no longer possible, for example because another operator has done it. */
export function Withdrawn({ close }: { close(): void }) {
  const ref = useRef<HTMLButtonElement>(null);
  useEffect(() => ref.current?.focus(), []);
  return (
    <>
      <p role="alert">This is no longer possible: the state has changed since you opened it.</p>
      <div className="buttons">
        <button ref={ref} type="button" onClick={close}>
          Go back
        </button>
      </div>
    </>
  );
}

interface AskFormProps extends AskProps {
  close(): void;
}

function AskForm({ label, words, isDangerous, typed, isReady = true, children, act, close }: AskFormProps) {
  const [text, setText] = useState("");
  const id = useId();
  const canAct = isReady && (typed === undefined || text === typed);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!canAct) return;
        close();
        act();
      }}
    >
      {children}
      {typed !== undefined && (
        <p className="field">
          <label htmlFor={id}>
            Type <code>{printable(typed, 300)}</code> to go on
          </label>
          <input id={id} autoComplete="off" value={text} onChange={({ target }) => setText(target.value)} />
        </p>
      )}
      <CommandLine words={words} />
      <div className="buttons">
        <button type="button" onClick={close}>
          Go back
        </button>
        <button type="submit" className={isDangerous ? "danger" : "primary"} disabled={!canAct}>
          {label}
        </button>
      </div>
    </form>
  );
}
