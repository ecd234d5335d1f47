import { digitsOf, isFlyway, type Naming, versionKey, versionOf } from './name.ts';

/** What is wrong with one of some names, and what to do. */
export interface NameProblem<T> {
  item: T;
  message: string;
  hint: string;
}

/** Versions of so many digits are times: two that are equal are no merge gone wrong. */
const TIME_DIGITS = 8;

/**
 * Those of one name, and those of one version where that leaves open which is first: of equal times, slugs decide.
 * @param items in order
 * @param whereOf how an item is told from another one of the same name
 */
export function clashesOf<T extends { name: string }>(
  items: readonly T[],
  { sameVersion }: Pick<Naming, 'sameVersion'>,
  whereOf: (item: T) => string,
): NameProblem<T>[] {
  const firsts = new Map<string, T>();
  return items.flatMap((second): NameProblem<T>[] => {
    const keys = [`name ${second.name}`, versionKey(second.name)].filter(Boolean);
    const first = keys.map((key) => firsts.get(key)).find(Boolean);
    for (const key of keys) if (!firsts.has(key)) firsts.set(key, second);
    if (!first) return [];
    const both = `${whereOf(first)} and ${whereOf(second)}`;
    const names = [first.name, second.name];
    if (first.name === second.name) {
      const hint = "give another name to the one that isn't applied anywhere yet";
      return [{ item: second, message: `${both} have the same name`, hint }];
    }
    const flyway = names.some(isFlyway);
    if (
      !flyway &&
      (digitsOf(second.name) >= TIME_DIGITS || names.every((name) => sameVersion.includes(name)))
    )
      return [];
    const hint = flyway
      ? "give another number to the one that isn't applied anywhere yet"
      : `rename the one that isn't applied anywhere yet; if both are, set ${settingOf('sameVersion', names)}`;
    return [{ item: second, message: `${both} have the same version, ${written(second.name)}`, hint }];
  });
}

/**
 * Those without a number where others have one: a stray `schema.sql` must not run at every tenant.
 * @param isKnown names that are known to be migrations
 */
export function strayOf<T extends { name: string; file: string }>(
  items: readonly T[],
  { unnumbered }: Pick<Naming, 'unnumbered'>,
  isKnown: (name: string) => boolean,
): NameProblem<T>[] {
  if (!items.some(({ name }) => versionOf(name))) return [];
  const strays = items.filter(({ name }) => !versionOf(name) && !unnumbered.includes(name) && !isKnown(name));
  const setting = settingOf(
    'unnumbered',
    strays.map(({ name }) => name),
  );
  return strays.map((item) => ({
    item,
    message: `${item.file} has no number, and other files here have one`,
    hint: `move what isn't a migration to another folder; give what is one a number, or set ${setting}`,
  }));
}

/** Without zeros in front, which make no difference. */
function written(name: string): string {
  return versionOf(name).replace(/^0+(?=\d)/, '');
}

/** As it stands in the configuration. */
function settingOf(key: 'sameVersion' | 'unnumbered', names: readonly string[]): string {
  const list = names.map((name) => `'${name.replaceAll(/[\\']/g, '\\$&')}'`).join(', ');
  return `migrations: { ${key}: [${list}] } in the configuration`;
}
