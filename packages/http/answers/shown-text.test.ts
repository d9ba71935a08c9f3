import { expect, test } from "vitest";
import { shownText } from "./shown-text.ts";

const code = (text: string) => text.codePointAt(0)?.toString(16);

test.each(["my job", "Größe 漢字 العربية עברית हिन्दी", "ẹ́", "❤️ 👩‍💻 👩🏽‍💻 1️⃣ 🏳️‍🌈", ""])(
  "%j is shown unchanged",
  (text) => {
    expect(shownText.test(text)).toBe(true);
  },
);

test.each([
  ["Sinhala", "ශ්‍රී ලංකා"],
  ["Persian", "می‌خواهم"],
  ["Marathi", "दऱ्‍या क्‌ष"],
  ["pictographs as text", "☎\ufe0e ❤\ufe0f"],
  ["the flag of England", "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} and 🏴"],
  ["emoji of a later Unicode", "\u{1f6d9}\u{1fadd}"],
])("%s is shown unchanged", (_, text) => {
  expect(shownText.test(text)).toBe(true);
});

test.each([
  ["a joiner at the end", "می\u200c"],
  ["a joiner at the beginning", "\u200dශ"],
  ["a joiner twice", "می\u200c\u200cخ"],
  ["a joiner between letters that never join", "ad\u200cmin"],
  ["a joiner beside a digit of a script that joins", "۱\u200c۲"],
  ["a selector twice", "☎\ufe0e\ufe0e"],
  ["a selector behind a letter", "a\ufe0e"],
  ["tags without their flag", "a\u{e0067}\u{e0062}\u{e0065}\u{e007f}"],
  ["tags without an end", "🏴\u{e0067}\u{e0062}\u{e0065}"],
  [
    "a text in tags",
    `🏴${[..."hidden"].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join("")}`,
  ],
  ["a character that Unicode has not assigned and that is not an emoji", "\u0378"],
])("no shown text contains %s", (_, text) => {
  expect(shownText.test(text)).toBe(false);
});

test.each(
  [
    ...["\0", "\n", "\r", "\t", "\x7f", "\x85", "\u2028", "\u2029"],
    ...["\u061c", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2069"],
    ...["\u00ad", "\u034f", "\u115f", "\u1160", "\u17b4", "\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\u2800"],
    ...["\u3164", "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\u{e0001}", "\u{e0100}", "\ud800"],
  ].map((character) => [code(character), character]),
)("no shown text contains U+%s", (_, character) => {
  for (const text of [character, `a${character}`, `a${character}b`, `1${character}`])
    expect(shownText.test(text)).toBe(false);
});

test.each([
  ["emoji", "👩‍💻❤️"],
  ["flags", "🏴\u{e0067}\u{e0062}\u{e0065}\u{e007f}"],
  ["a flag's tags", "\u{e0067}"],
  ["new emoji", "\u{1fadd}"],
  ["letters with joiners", "ශ්‍රී"],
])("a long text of %s is checked in one pass", (_, part) => {
  expect(shownText.test(`🏴${part.repeat(20_000)}\u2028`)).toBe(false);
});
