import { idWord } from '../../shell-word.ts';

/** So many tenants stand in one command. */
const MOST_WORDS = 100;
/** Commands for one tenant alone are written out for so many. */
const MOST_LINES = 5;
/** They take one tenant, whatever else is said. */
const FOR_ONE = /mpm-migrate (?:resolve|fresh|tenant) /;

/** A hint that was made out for one tenant, with `{tenant}` in the places of its name. */
export function hintTemplate(hint: string, word: string): string {
  const escaped = word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
  const place = String.raw`--tenant |--resume |tenant (?:show|hold|release|drop) `;
  return hint.replaceAll(new RegExp(`(?<=${place})${escaped}(?![\\w.-])`, 'g'), '{tenant}');
}

/**
 * A hint for tenants in the same state: each command names them all, or one stands there for each.
 * @param ids in their order; fewer than `total` when not all of them are kept
 * @param where the command that names them, when they are too many
 */
export function hintForAll(
  template: string,
  ids: readonly string[],
  { total = ids.length, where }: { total?: number; where?: string | undefined } = {},
): string {
  const named = where === undefined ? '' : `: ${where}`;
  return template
    .split('\n')
    .flatMap((line) => {
      if (!line.includes('{tenant}')) return [line];
      const each = (id: string) => line.replaceAll('{tenant}', idWord(id));
      if (FOR_ONE.test(line)) {
        const more = total - MOST_LINES;
        return [
          ...ids.slice(0, MOST_LINES).map(each),
          ...(more > 0 ? [`the same for ${more} more${named}`] : []),
        ];
      }
      const words = ranges(ids);
      if (words.length > MOST_WORDS || total > ids.length)
        return [`${each('ID')}   for each of the ${total}${named}`];
      const all = words.map((word) => `--tenant ${word}`).join(' ');
      return [line.replaceAll('--tenant {tenant}', all)];
    })
    .join('\n');
}

/** `1 2 3 5` as `1..3 5`: a range of ids that are all among them means exactly those. */
function ranges(ids: readonly string[]): string[] {
  const words: string[] = [];
  for (let at = 0; at < ids.length;) {
    let end = at;
    while (follows(ids[end], ids[end + 1])) end += 1;
    if (end - at >= 2) words.push(`${ids[at]}..${ids[end]}`);
    else words.push(...ids.slice(at, end + 1).map(idWord));
    at = end + 1;
  }
  return words;
}

function follows(id: string | undefined, next: string | undefined): boolean {
  const plain = /^(?:0|[1-9]\d{0,14})$/;
  return (
    id !== undefined &&
    next !== undefined &&
    plain.test(id) &&
    plain.test(next) &&
    Number(next) === Number(id) + 1
  );
}
