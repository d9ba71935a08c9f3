import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { printable } from "../data/words.ts";
import { CommandLine } from "./command-line.tsx";

interface AskProps {
  readonly title: string;
  readonly label: string;
  readonly words: string;
  readonly isDangerous?: boolean;
  /** A text that must be typed before the act, such as the name of a disk. */
  readonly typed?: string;
  readonly isReady?: boolean;
  readonly children?: ReactNode;
  act(): void;
}

/** A button that asks in a dialog before it acts. The dialog says what is lost, and shows the line that does the same. */
export function Ask({ title, label, words, isDangerous = false, typed, isReady = true, children, act }: AskProps) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <button type="button" className={isDangerous ? "danger" : ""} onClick={() => setIsOpen(true)}>
        {label}…
      </button>
      {isOpen && (
        <Dialog title={title} close={() => setIsOpen(false)}>
          <AskForm
            {...{ label, words, isDangerous, typed, isReady }}
            cancel={() => setIsOpen(false)}
            act={() => {
              setIsOpen(false);
              act();
            }}
          >
            {children}
          </AskForm>
        </Dialog>
      )}
    </>
  );
}

interface AskFormProps extends Omit<AskProps, "title" | "typed"> {
  readonly typed: string | undefined;
  cancel(): void;
}

function AskForm({ label, words, isDangerous, typed, isReady, children, act, cancel }: AskFormProps) {
  const [text, setText] = useState("");
  const id = useId();
  const canAct = isReady && (typed === undefined || text === typed);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (canAct) act();
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
        <button type="button" onClick={cancel}>
          Go back
        </button>
        <button type="submit" className={isDangerous ? "danger" : "primary"} disabled={!canAct}>
          {label}
        </button>
      </div>
    </form>
  );
}

interface DialogProps {
  readonly title: string;
  readonly children: ReactNode;
  close(): void;
}

/** A modal dialog. The browser keeps the focus in it, and gives it back. */
function Dialog({ title, children, close }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
