import { eachNode, fieldsOf, opened, relationOf, textsOf } from '../../engine/sql/effects/tree.ts';
import type { Rule } from '../rule.ts';
import type { Statement } from '../statements.ts';

const missingDown: Rule = {
  id: 'missing-down',
  severity: 'warn',
  hazard: 'Where most migrations have a way down, one without ends every `down` that comes to it.',
  file({ migration, migrations }) {
    if (migration.down) return [];
    const near = migrations.filter(
      (each) => each !== migration && each.source === migration.source && each.plugin === migration.plugin,
    );
    const withDown = near.filter(({ down }) => down).length;
    if (withDown < 2 || withDown * 2 <= near.length) return [];
    return [
      {
        message: `has no way down, though ${withDown} of ${near.length} others have one`,
        safe: '-- migrate:down\n-- what takes back the way up',
      },
    ];
  },
};

/** What a statement makes or drops, as `table users`, `column users.name`. */
interface Changes {
  made: Set<string>;
  dropped: Set<string>;
  /** It may do anything. */
  isOpen: boolean;
}

const NAMED: Record<string, string> = {
  OBJECT_TABLE: 'table',
  OBJECT_FOREIGN_TABLE: 'table',
  OBJECT_INDEX: 'index',
  OBJECT_VIEW: 'view',
  OBJECT_MATVIEW: 'view',
  OBJECT_TYPE: 'type',
  OBJECT_DOMAIN: 'type',
  OBJECT_FUNCTION: 'function',
  OBJECT_PROCEDURE: 'function',
  OBJECT_SEQUENCE: 'sequence',
  OBJECT_SCHEMA: 'schema',
};

/** What a section leaves: what it makes and does not drop again, and the other way round. */
function changesOf(statements: readonly Statement[]): Changes {
  const changes: Changes = { made: new Set(), dropped: new Set(), isOpen: false };
  /** Dropped, and made again: so are, most likely, the indexes that went with it. */
  const remade = new Set<string>();
  const make = (thing: string) => {
    if (changes.dropped.delete(thing)) remade.add(thing);
    else changes.made.add(thing);
  };
  const drop = (thing: string) => changes.made.delete(thing) || changes.dropped.add(thing);
  for (const { kind, node, effects } of statements) {
    if (/^(?:Do|Call)Stmt$/.test(kind) || effects.unknown.some((what) => what.startsWith('function')))
      changes.isOpen = true;
    const table = node['relation'] ? relationOf(node['relation']).name : '';
    switch (kind) {
      case 'CreateStmt':
        make(`table ${table}`);
        break;
      case 'CreateTableAsStmt': {
        const { rel } = node['into'] as { rel: unknown };
        make(`${node['objtype'] === 'OBJECT_MATVIEW' ? 'view' : 'table'} ${relationOf(rel).name}`);
        break;
      }
      case 'ViewStmt':
        if (!node['replace']) make(`view ${relationOf(node['view']).name}`);
        break;
      case 'IndexStmt':
        if (node['idxname'] && !remade.has(`view ${table}`) && !remade.has(`table ${table}`))
          make(`index ${String(node['idxname'])}`);
        break;
      case 'CreateEnumStmt':
        make(`type ${textsOf(node['typeName']).at(-1)}`);
        break;
      case 'CreateDomainStmt':
        make(`type ${textsOf(node['domainname']).at(-1)}`);
        break;
      case 'CompositeTypeStmt':
        make(`type ${relationOf(node['typevar']).name}`);
        break;
      case 'CreateFunctionStmt':
        if (!node['replace']) make(`function ${textsOf(node['funcname']).at(-1)}`);
        break;
      case 'CreateSeqStmt':
        make(`sequence ${relationOf(node['sequence']).name}`);
        break;
      case 'CreateSchemaStmt':
        make(`schema ${String(node['schemaname'])}`);
        break;
      case 'AlterTableStmt':
        for (const { subtype, name, def } of fieldsOf(node['cmds'])) {
          if (subtype === 'AT_AddColumn') make(`column ${table}.${String(opened(def)[1]['colname'])}`);
          if (subtype === 'AT_DropColumn') drop(`column ${table}.${String(name)}`);
        }
        break;
      case 'RenameStmt':
        rename(node, table, { make, drop });
        break;
      case 'DropStmt': {
        const what = NAMED[String(node['removeType'])];
        for (const each of (node['objects'] ?? []) as unknown[]) if (what) drop(`${what} ${nameOf(each)}`);
        break;
      }
      default:
        break;
    }
  }
  return changes;
}

function rename(
  { renameType, subname, newname }: Record<string, unknown>,
  table: string,
  { make, drop }: { make(thing: string): void; drop(thing: string): void },
): void {
  const what = NAMED[String(renameType)];
  if (renameType === 'OBJECT_COLUMN') {
    drop(`column ${table}.${String(subname)}`);
    make(`column ${table}.${String(newname)}`);
  } else if (what && table) {
    drop(`${what} ${table}`);
    make(`${what} ${String(newname)}`);
  }
}

function nameOf(object: unknown): string {
  const [kind, fields] = opened(object);
  if (kind === 'String') return String(fields['sval']);
  return textsOf(fields['items'] ?? fields['names'] ?? fields['objname']).at(-1) ?? '';
}

/** What a thing goes with, when that is dropped: its table, the columns of an index, the table that has a sequence. */
function holdersOf(thing: string, statements: readonly Statement[]): string[] {
  const [, table] = /^column (.*)\.[^.]*$/.exec(thing) ?? [];
  if (table !== undefined) return [`table ${table}`];
  return statements.flatMap(({ kind, node, tree }) => {
    if (kind === 'AlterSeqStmt' && thing === `sequence ${relationOf(node['sequence']).name}`) {
      const owner = fieldsOf(node['options']).find(({ defname }) => defname === 'owned_by');
      const [, ofTable] = textsOf(owner?.['arg']).toReversed();
      return ofTable === undefined ? [] : [`table ${ofTable}`];
    }
    if (kind !== 'IndexStmt' || thing !== `index ${String(node['idxname'])}`) return [];
    const { name } = relationOf(node['relation']);
    const columns = fieldsOf(node['indexParams']).map((each) => String(each['name']));
    eachNode(tree, (inner, fields) => {
      if (inner === 'ColumnRef') columns.push(textsOf(fields['fields']).at(-1) ?? '');
    });
    return [`table ${name}`, `view ${name}`, ...columns.map((column) => `column ${name}.${column}`)];
  });
}

const downRestores: Rule = {
  id: 'down-does-not-restore',
  severity: 'warn',
  hazard:
    'After a down and an up, the second up fails, or the two differ: the way down leaves something, or takes too much.',
  file({ statements, down, migration }) {
    if (!down || migration.down?.kind !== 'sql') return [];
    const up = changesOf(statements);
    const back = changesOf(down);
    if (up.isOpen || back.isOpen) return [];
    // A schema that is dropped takes all that is in it.
    if ([...back.dropped].some((thing) => thing.startsWith('schema '))) return [];
    const goes = (thing: string, gone: ReadonlySet<string>) =>
      holdersOf(thing, statements).some((holder) => gone.has(holder));
    const left = [...up.made].filter((thing) => !back.dropped.has(thing) && !goes(thing, back.dropped));
    const lost = [...up.dropped].filter(
      (thing) =>
        /^(?:table|column|view|type) /.test(thing) &&
        !back.made.has(thing) &&
        !goes(thing, back.made) &&
        // A table that it makes itself, and changes.
        !goes(thing, up.made),
    );
    const what = left.length
      ? `leaves the ${left[0]}`
      : lost.length
        ? `does not make the ${lost[0]} again`
        : undefined;
    if (what === undefined) return [];
    const more = left.length + lost.length - 1;
    return [
      {
        message: `the way down ${what}${more > 0 ? `, and ${more} more` : ''}`,
        safe: `-- migrate:down\n${left.length ? dropSql(left[0]!) : `-- make the ${lost[0]} again`}`,
      },
    ];
  },
};

function dropSql(thing: string): string {
  const [kind = '', name = ''] = [thing.slice(0, thing.indexOf(' ')), thing.slice(thing.indexOf(' ') + 1)];
  if (kind !== 'column') return `drop ${kind} ${name};`;
  const dot = name.lastIndexOf('.');
  return `alter table ${name.slice(0, dot)} drop column ${name.slice(dot + 1)};`;
}

export const DOWN_RULES = [missingDown, downRestores];
