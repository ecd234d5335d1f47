import { eachNode, fieldsOf, opened, textsOf } from '../../engine/sql/effects/tree.ts';
import { scan } from '../../engine/sql/scan.ts';
import type { Rule } from '../rule.ts';
import type { Statement } from '../statements.ts';

const enumValue: Rule = {
  id: 'enum-value-in-transaction',
  severity: 'error',
  hazard:
    "A value that was added to an enum type can't be used before its transaction is committed: the migration fails.",
  statement(statement, { before }) {
    const made = new Set(
      before.filter(({ kind }) => kind === 'CreateEnumStmt').map(({ node }) => typeIn(node)),
    );
    const added = before.filter(
      ({ kind, node }) => kind === 'AlterEnumStmt' && node['newVal'] && !made.has(typeIn(node)),
    );
    if (added.length === 0) return [];
    const used = new Set<string>();
    if (!/^(?:AlterEnum|CreateEnum|Comment)/.test(statement.kind)) {
      eachNode(statement.tree, (kind, fields) => {
        const { sval } = fields as { sval?: { sval?: string } };
        if (kind === 'A_Const' && sval?.sval !== undefined) used.add(sval.sval);
      });
    }
    const first = added.find(({ node }) => node['oldVal'] === undefined && used.has(String(node['newVal'])));
    if (!first) return [];
    const value = String(first.node['newVal']);
    return [
      {
        message: `uses '${value}', which the same transaction added to ${typeIn(first.node)}`,
        safe: `-- in a migration of its own, before this one\n${first.text};`,
      },
    ];
  },
};

function typeIn(node: Record<string, unknown>): string {
  return textsOf(node['typeName']).join('.');
}

const CONTROL = /^(?:begin|start transaction|commit|end|abort|rollback(?! (?:work |transaction )?to\b))/;

const transactionControl: Rule = {
  id: 'transaction-control',
  severity: 'error',
  hazard:
    'BEGIN and COMMIT within a migration end nothing: it runs in one transaction, and keeps all locks to its end.',
  file({ migration: { up }, statements }) {
    if (up.kind !== 'sql' || !up.options.transaction) return [];
    const { statements: all } = scan(up.text.slice(up.start, up.start + up.sql.length));
    const controls = all.filter(({ words }) => CONTROL.test(words.join(' ')));
    const [first, last] = [all[0], all.at(-1)];
    if (controls.length === 0 || (controls.length === 2 && controls[0] === first && controls[1] === last))
      return [];
    const second = controls.length > 2 ? controls[2] : controls[0];
    const at = statements.findLast(({ start }) => start <= up.start + (second?.start ?? 0)) ?? statements[0];
    return [
      {
        ...(at && { at }),
        message: 'BEGIN and COMMIT are not sent: the whole file is one transaction',
        safe: '-- a migration for each transaction; or, to keep them, behind the marker:\n-- migrate:up transaction:false',
      },
    ];
  },
};

const sessionSetting: Rule = {
  id: 'session-setting',
  severity: 'warn',
  hazard:
    'A setting without LOCAL outlives the migration: those that follow in the same session run with it.',
  statement(statement, { before }) {
    if (!statement.inTransaction || settingIn(statement) === undefined) return [];
    // One of many says enough.
    if (before.some((each) => settingIn(each) !== undefined)) return [];
    return [
      {
        message: `sets ${settingIn(statement)} for the session`,
        safe: /^\s*set\s/i.test(statement.text)
          ? `${statement.text.replace(/^\s*set\s+(?:session\s+)?/i, 'set local ')};`
          : `set local ${settingIn(statement)} = …;`,
      },
    ];
  },
};

function settingIn({ kind, node, tree }: Statement): string | undefined {
  if (kind === 'VariableSetStmt') {
    const isReset = String(node['kind']).startsWith('VAR_RESET');
    return node['is_local'] || isReset || String(node['name']).startsWith('TRANSACTION')
      ? undefined
      : String(node['name']);
  }
  if (kind !== 'SelectStmt') return undefined;
  let name: string | undefined;
  eachNode(tree, (call, fields) => {
    if (call !== 'FuncCall' || textsOf(fields['funcname']).at(-1) !== 'set_config') return;
    const [setting, , isLocal] = fieldsOf(fields['args']) as {
      sval?: { sval: string };
      boolval?: { boolval?: boolean };
    }[];
    if (isLocal?.boolval && !isLocal.boolval.boolval) name = setting?.sval?.sval ?? 'a setting';
  });
  return name;
}

const grantToPublic: Rule = {
  id: 'grant-to-public',
  severity: 'warn',
  hazard: 'PUBLIC is every role of the server, those of other tenants included.',
  statement({ kind, node }) {
    const grant = kind === 'AlterDefaultPrivilegesStmt' ? (node['action'] as Record<string, unknown>) : node;
    if (kind !== 'GrantStmt' && kind !== 'AlterDefaultPrivilegesStmt') return [];
    const isPublic = fieldsOf(grant['grantees']).some(({ roletype }) => roletype === 'ROLESPEC_PUBLIC');
    // What everybody has of these anyway, since they were made.
    const isUsual = /OBJECT_(?:FUNCTION|PROCEDURE|ROUTINE|TYPE|DOMAIN|LANGUAGE)$/.test(
      String(grant['objtype']),
    );
    if (!grant['is_grant'] || !isPublic || isUsual) return [];
    return [
      {
        message: 'grants privileges to PUBLIC',
        safe: '-- to the roles that need it: grant … on … to application_role;',
      },
    ];
  },
};

const securityDefiner: Rule = {
  id: 'security-definer-search-path',
  severity: 'error',
  hazard:
    "A function that runs with its owner's rights, but finds names by its caller's search_path, runs what the caller put there.",
  statement({ kind, node }, { statements }) {
    if (kind !== 'CreateFunctionStmt' && kind !== 'AlterFunctionStmt') return [];
    const options = fieldsOf(node['options'] ?? node['actions']);
    const isDefiner = options.some(({ defname, arg }) => {
      const { boolval } = opened(arg)[1];
      return defname === 'security' && boolval === true;
    });
    const nameOf = (each: Statement['node']) =>
      textsOf(each['funcname'] ?? (each['func'] as { objname?: unknown } | undefined)?.objname).at(-1) ?? '';
    const name = nameOf(node);
    const hasPath = (list: unknown) =>
      fieldsOf(list).some(
        ({ defname, arg }) => defname === 'set' && opened(arg)[1]['name'] === 'search_path',
      );
    const isSetLater = statements.some(
      (each) =>
        each.kind === 'AlterFunctionStmt' && nameOf(each.node) === name && hasPath(each.node['actions']),
    );
    if (!isDefiner || hasPath(options.length ? (node['options'] ?? node['actions']) : []) || isSetLater)
      return [];
    return [
      {
        message: `${name} is SECURITY DEFINER and has no search_path of its own`,
        safe: `alter function ${name}(…) set search_path = '';\n-- and write each name in it with its schema`,
      },
    ];
  },
};

export const TRANSACTION_RULES = [enumValue, transactionControl, sessionSetting];
export const RIGHTS_RULES = [grantToPublic, securityDefiner];
