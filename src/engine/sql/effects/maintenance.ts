import type { On } from './query.ts';
import { fieldsOf } from './tree.ts';

type Fields = Record<string, unknown>;

export function vacuum(node: Fields, on: On): void {
  const isFull = node['is_vacuumcmd'] === true && isOn(node['options'], 'full');
  const clause = node['is_vacuumcmd'] ? (isFull ? 'vacuum full' : 'vacuum') : 'analyze';
  for (const { relation } of fieldsOf(node['rels']))
    on(relation, isFull ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE', clause, {
      rewrite: isFull ? 'yes' : 'no',
    });
}

/** Whether a list of options has one that is not switched off. */
function isOn(options: unknown, name: string): boolean {
  return fieldsOf(options).some(
    ({ defname, arg }) =>
      defname === name &&
      !/"(?:sval":"(?:false|off)|boolval":\{\}|ival":\{?\}?$)/i.test(JSON.stringify(arg ?? '')),
  );
}

export function reindex(node: Fields, on: On, unknown: string[]): void {
  const isConcurrent = isOn(node['params'], 'concurrently');
  const { relation } = node;
  if (!relation) {
    unknown.push('reindex of all tables');
    return;
  }
  const isIndex = node['kind'] === 'REINDEX_OBJECT_INDEX';
  const lock = isConcurrent ? 'SHARE UPDATE EXCLUSIVE' : isIndex ? 'ACCESS EXCLUSIVE' : 'SHARE';
  on(relation, lock, 'reindex', { object: isIndex ? 'index' : 'table', scan: 'yes', builds: true });
}
