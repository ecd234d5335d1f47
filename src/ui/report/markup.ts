/** Text as XML and HTML take it, in elements and in quoted attributes; what XML 1.0 has no place for becomes `\x1b`. */
export function escapeMarkup(text: string): string {
  return (
    text
      .replace(/\r\n?/g, '\n')
      .replace(
        /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g,
        spelled,
      )
      .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, spelled)
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // A CI that prints the file must find no command in it (engine 35).
      .replace(/##(?=\[|vso\[|teamcity\[)/gi, '&#35;#')
      .replace(/^([^\S\n]*):(?=:)/gm, '$1&#58;')
  );
}

/** The same for an attribute, where a line end would be read as a space. */
export function escapeAttribute(text: string): string {
  return escapeMarkup(text).replaceAll('\n', '&#10;').replaceAll('\t', '&#9;');
}

function spelled(character: string): string {
  const code = character.charCodeAt(0);
  return code < 256
    ? String.raw`\x${code.toString(16).padStart(2, '0')}`
    : String.raw`\u${code.toString(16).padStart(4, '0')}`;
}

/** Upper ends in ms: 1, 2 and 5 of every power of ten, for durations of milliseconds and of hours in one picture. */
const ENDS = [10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, Infinity];

export interface DurationBar {
  /** `0.1–0.2s`, as a label under the bar. */
  label: string;
  count: number;
}

/** How many tenants took how long; of fixed size, whatever the fleet's. */
export class Durations {
  readonly #counts = ENDS.map(() => 0);

  add(ms: number): void {
    const at = ENDS.findIndex((end) => ms < end);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** From the first to the last that is not empty. */
  bars(): DurationBar[] {
    const first = this.#counts.findIndex((count) => count > 0);
    const last = this.#counts.findLastIndex((count) => count > 0);
    if (first < 0) return [];
    return ENDS.slice(first, last + 1).map((end, index) => ({
      label: end === Infinity ? '> 1h' : `< ${short(end)}`,
      count: this.#counts[first + index] ?? 0,
    }));
  }
}

function short(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  if (ms < 60_000) return `${ms / 1000}s`;
  return ms < 3_600_000 ? `${ms / 60_000}m` : '1h';
}
