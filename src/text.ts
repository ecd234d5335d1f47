import { stripVTControlCharacters } from 'node:util';

/** A text of a tenant's database, as reports, events and the ledger carry it: at most so many bytes and lines. */
const MOST_BYTES = 4000;
const MOST_LINES = 20;
/** What is looked at before anything is cleaned: the work must not grow with the text. */
const LOOK = 16_384;

const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
/** They turn round, or hide, what stands around them (Unicode, UAX #9). */
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** What GitHub, Azure and TeamCity take for commands in a log: at a line's start, and anywhere. */
const LINE_COMMAND = /^([^\S\n]*)::/gm;
const COMMAND = /##(?=\[|vso\[|teamcity\[)/gi;

/** Text that came from outside, with its line ends, tabs as spaces, and nothing that does not show. */
export function harmless(text: string): string {
  const lines = stripVTControlCharacters(text)
    .replace(/\t/g, '  ')
    .replace(/\r\n?|[\u2028\u2029]/g, '\n');
  return withoutCommands(lines.replace(CONTROL, '').replace(BIDI, ''));
}

/** The same on one line: a tenant's name may hold escape codes or a line end. */
export function oneLine(text: string): string {
  const line = stripVTControlCharacters(text)
    .replace(/[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ')
    .replace(BIDI, '')
    .trim();
  return withoutCommands(line);
}

/** No line of it is a command to a CI that reads the log (engine 35). */
export function withoutCommands(text: string): string {
  return text.replace(LINE_COMMAND, '$1: :').replace(COMMAND, '# #');
}

/** A text of somebody else's without what does not show, cut to 4 kB and 20 lines; what is missing is said. */
export function bounded(text: string): string {
  const shown = stripVTControlCharacters(text.length > LOOK ? text.slice(0, LOOK) : text)
    .replace(/\r\n?/g, '\n')
    .replace(CONTROL, '')
    .replace(BIDI, '');
  const lines = shown.split('\n');
  let kept = lines.length > MOST_LINES ? lines.slice(0, MOST_LINES).join('\n') : shown;
  const bytes = Buffer.from(kept);
  // A character that is cut in two is left out.
  if (bytes.length > MOST_BYTES)
    kept = bytes
      .subarray(0, MOST_BYTES)
      .toString()
      .replace(/\ufffd$/, '');
  const missing = text.length - kept.length - (text.length <= LOOK ? text.length - shown.length : 0);
  return missing > 0 ? `${kept}… (${missing} characters more)` : kept;
}

const RAW = /[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/g;

/** JSON in which the same values stand escaped: nothing in it shows as what it is not, or is a CI's command. */
export function jsonOf(value: unknown, space?: number): string {
  return harmlessJson(JSON.stringify(value, null, space));
}

/** The same of what is JSON already. */
export function harmlessJson(json: string): string {
  return json
    .replace(RAW, (character) => String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(COMMAND, String.raw`\u0023#`);
}
