import { type ReactNode, useEffect, useId, useRef } from "react";
import { printable } from "../data/words.ts";
import { Announcer } from "./announcer.tsx";

interface DialogProps {
  readonly title: string;
  readonly className?: string;
  readonly children: ReactNode;
  close(): void;
}

/** A modal dialog. The browser keeps the focus in it. It returns to where it was, or to the content. */
export function Dialog({ title, className, children, close }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      const target = before instanceof HTMLElement && before.isConnected ? before : document.getElementById("main");
      target?.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      className={className}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <h2 id={id}>{printable(title, 200)}</h2>
      {children}
      <Announcer />
    </dialog>
  );
}
