/** Lines of a log that follow each other. The browser lays out each block by itself. */
export interface LogBlock {
  /** Counts all blocks from the start of the log, also those that are dropped. */
  readonly number: number;
  /** Whole lines with their ends. Only the last block may end within a line. */
  readonly text: string;
  readonly lineCount: number;
}

const mostLines = 400;
/** A longer line has a block to itself. */
const mostCharacters = 100_000;

/**
 * Adds text to the end of a log. If the log is longer than `keptCharacters` then, it loses whole blocks from its start.
 * The other blocks keep their numbers and their text, so that they keep their elements in the page.
 */
export function appendLog(blocks: readonly LogBlock[], text: string, keptCharacters: number): readonly LogBlock[] {
  const last = blocks.at(-1);
  const isOpen = last !== undefined && (!last.text.endsWith("\n") || hasRoom(last, 0));
  const added = divide(isOpen ? last.text + text : text, isOpen ? last.number : (last?.number ?? -1) + 1);
  return dropStart([...(isOpen ? blocks.slice(0, -1) : blocks), ...added], keptCharacters);
}

/**
 * Returns a function that keeps only the lines with a text in any case, and only the blocks with such a line. It searches
 * each block once: a log that grows has the same blocks again.
 */
export function createLogSearch(search: string): (blocks: readonly LogBlock[]) => readonly LogBlock[] {
  const wanted = search.toLowerCase();
  if (wanted === "") return (blocks) => blocks;
  const results = new WeakMap<LogBlock, LogBlock>();
  const searchBlock = (block: LogBlock) => {
    const lines = splitLines(block.text).filter((line) => line.toLowerCase().includes(wanted));
    const result = { number: block.number, text: lines.join(""), lineCount: lines.length };
    results.set(block, result);
    return result;
  };
  return (blocks) =>
    blocks.map((block) => results.get(block) ?? searchBlock(block)).filter(({ lineCount }) => lineCount > 0);
}

export function countLines(blocks: readonly LogBlock[]): number {
  return blocks.reduce((count, { lineCount }) => count + lineCount, 0);
}

function divide(text: string, firstNumber: number): LogBlock[] {
  const blocks: LogBlock[] = [];
  let block = { number: firstNumber, text: "", lineCount: 0 };
  for (const line of splitLines(text)) {
    if (block.lineCount > 0 && !hasRoom(block, line.length)) {
      blocks.push(block);
      block = { number: block.number + 1, text: "", lineCount: 0 };
    }
    block.text += line;
    block.lineCount += 1;
  }
  return block.lineCount > 0 ? [...blocks, block] : blocks;
}

function hasRoom({ text, lineCount }: LogBlock, characters: number): boolean {
  return lineCount < mostLines && text.length + characters <= mostCharacters;
}

function dropStart(blocks: readonly LogBlock[], keptCharacters: number): readonly LogBlock[] {
  let excess = blocks.reduce((sum, { text }) => sum + text.length, 0) - keptCharacters;
  let dropped = 0;
  for (const { text } of blocks.slice(0, -1)) {
    if (excess <= 0) break;
    excess -= text.length;
    dropped += 1;
  }
  const kept = blocks.slice(dropped);
  if (excess <= 0) return kept;
  // A single line is too long.
  return kept.map((block) => ({ ...block, text: block.text.slice(-keptCharacters) }));
}

/** Returns the lines of a text with their ends. */
function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}
