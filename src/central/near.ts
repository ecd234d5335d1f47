/** Collects the few words that are nearest to the one that was typed, out of any number of them. */
export class NearMatches {
  readonly #wanted: string;
  readonly #most: number;
  #best: { label: string; distance: number }[] = [];

  constructor(wanted: string, most = 3) {
    this.#wanted = fold(wanted);
    this.#most = most;
  }

  /** @param label what is shown when one of the words is near */
  consider(label: string, words: readonly string[]): void {
    const distances = words.map((word) => nearness(this.#wanted, fold(word)));
    const distance = Math.min(...distances);
    if (distance > Math.max(2, this.#wanted.length / 3)) return;
    this.#best.push({ label, distance });
    this.#best.sort((a, b) => a.distance - b.distance);
    this.#best.length = Math.min(this.#best.length, this.#most);
  }

  get labels(): string[] {
    return this.#best.map(({ label }) => label);
  }
}

function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().slice(0, 80);
}

/** A word that begins with what was typed is near, whatever its length. */
function nearness(wanted: string, word: string): number {
  if (wanted.length > 1 && word.startsWith(wanted)) return 1;
  if (wanted.length > 2 && word.includes(wanted)) return 2;
  if (Math.abs(wanted.length - word.length) > Math.max(2, wanted.length / 3)) return Infinity;
  return editDistance(wanted, word);
}

/** Letters inserted, deleted or replaced to make one word of the other. */
export function editDistance(from: string, to: string): number {
  const row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    let diagonal = row[0] ?? 0;
    row[0] = i;
    for (let j = 1; j <= to.length; j += 1) {
      const above = row[j] ?? 0;
      const left = row[j - 1] ?? 0;
      row[j] = from[i - 1] === to[j - 1] ? diagonal : 1 + Math.min(diagonal, above, left);
      diagonal = above;
    }
  }
  return row[to.length] ?? 0;
}
