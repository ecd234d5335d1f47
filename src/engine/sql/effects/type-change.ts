import type { ColumnType } from './tree.ts';

/** Types that PostgreSQL takes for the other as they are, in this direction: no row is written. */
const SAME_BYTES = new Set([
  'varchar>text',
  'text>varchar',
  'xml>text',
  'xml>varchar',
  'cidr>inet',
  'bit>varbit',
  'int4>oid',
  'oid>int4',
  'oid>regclass',
  'regclass>oid',
  'int4>regclass',
  'regclass>int4',
]);

/** Of such a type, a longer one holds the shorter as it is. */
const GROWING = new Set(['varchar', 'varbit', 'timestamp', 'timestamptz', 'time', 'timetz', 'interval']);

/**
 * Whether ALTER COLUMN … TYPE writes every row anew, without USING or with one that casts and does nothing else.
 * @returns unknown: of types that are not built in, and between timestamp and timestamptz, where it depends on the
 *   session's time zone (under UTC nothing is written)
 */
export function rewritesRows(from: ColumnType, to: ColumnType): 'yes' | 'no' | 'unknown' {
  const isSame = from.name === to.name && from.isArray === to.isArray;
  const before = from.modifiers.join();
  const after = to.modifiers.join();
  if (isSame && before === after) return 'no';
  if (!from.isBuiltIn || !to.isBuiltIn) return 'unknown';
  // Of arrays, only that one loses its elements' length.
  if (from.isArray || to.isArray) return isSame && after === '' ? 'no' : 'yes';
  if (!isSame) {
    if (new Set([from.name, to.name, 'timestamp', 'timestamptz']).size === 2) return 'unknown';
    return SAME_BYTES.has(`${from.name}>${to.name}`) && after === '' ? 'no' : 'yes';
  }
  if (to.name === 'numeric') return fits(from.modifiers, to.modifiers) ? 'no' : 'yes';
  if (!GROWING.has(to.name)) return 'yes';
  if (after === '') return 'no';
  const [length] = from.modifiers.slice(-1);
  // A timestamp that says nothing has six digits.
  const isPlain = length === undefined && /^(?:time|interval)/.test(to.name) && to.modifiers.at(-1) === 6;
  return isPlain || (length !== undefined && length <= to.modifiers.at(-1)!) ? 'no' : 'yes';
}

/** A numeric goes into one of the same scale and no less precision, or into one without bounds. */
function fits(
  [precision, scale = 0]: readonly number[],
  [newPrecision, newScale = 0]: readonly number[],
): boolean {
  if (newPrecision === undefined) return true;
  return precision !== undefined && scale === newScale && precision <= newPrecision;
}
