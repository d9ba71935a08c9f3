/** Scripts that are written with joiners: whether letters join shows by them, and they tell words apart. */
const joined = ["Arab", "Syrc", "Nkoo", "Mong", "Deva", "Beng", "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym"]
  .concat(["Sinh", "Mymr", "Khmr", "Tibt"])
  .map((script) => String.raw`\p{scx=${script}}`)
  .join("");

/** No two of these begin with the same character but for U+1F3F4, so that a text is judged in one pass. */
const parts = [
  // The flags of England, Scotland and Wales.
  String.raw`\u{1F3F4}[\u{E0061}-\u{E007A}]{3,6}\u{E007F}`,
  String.raw`[^\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]`,
  // Emoji that are newer than this Unicode.
  String.raw`(?=\p{Cn})\p{Extended_Pictographic}`,
  String.raw`(?<=\p{Extended_Pictographic})[\uFE0E\uFE0F]`,
  String.raw`(?<=[0-9#*])\uFE0F(?=\u20E3)`,
  String.raw`(?<=\p{Extended_Pictographic}\uFE0F?|\p{Emoji_Modifier})\u200D(?=\p{Extended_Pictographic})`,
  String.raw`(?<=(?=[\p{L}\p{M}])[${joined}])[\u200C\u200D](?=[\p{L}\p{M}])(?=[${joined}])`,
];

/**
 * A text that people read in lists, lines and pages: of characters that can be seen, and spaces. No control characters,
 * line and paragraph separators, what turns the direction of a text, and what shows nothing at all: by these one name
 * passes for another or for the line behind it. Joiners may stand between letters of scripts that are written with them,
 * and what joins, colours and tells apart emoji between and behind these alone.
 */
export const shownText = new RegExp(`^(?:${parts.join("|")})*$`, "u");
